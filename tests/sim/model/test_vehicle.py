"""The car's parameters come from its model; unusable models are refused."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from diffcar.base.errors import ModelError
from diffcar.base.files import resource_path
from diffcar.sim.config import CarReadingConfig
from diffcar.sim.model.read import load_vehicle

SHIPPED = resource_path("assets/car.xml").read_text()


def altered(folder: Path, *pieces: str) -> str:
    """Write the shipped model with pieces replaced, old and new in turn, and return its name."""
    text = SHIPPED
    for old, new in zip(pieces[::2], pieces[1::2], strict=True):
        assert old in text
        text = text.replace(old, new)
    file = folder / "car.xml"
    file.write_text(text)
    return str(file)


def test_shipped_car_has_the_published_mass_and_geometry() -> None:
    """F1TENTH: 3.74 kg, wheelbase 0.3302 m, steering limit 0.4189 rad."""
    vehicle = load_vehicle()
    assert vehicle.mass == pytest.approx(3.74)
    assert vehicle.wheelbase == pytest.approx(0.3302)
    assert vehicle.max_steering == pytest.approx(0.4189, abs=1e-4)
    assert vehicle.track == pytest.approx(0.24)
    assert vehicle.rear_axle_x == pytest.approx(-0.1651)
    assert vehicle.max_contacts == 8


def test_centre_of_gravity_and_yaw_inertia_are_the_published_ones() -> None:
    """0.074 m high, 0.159 m behind the front axle, 0.047 kg m² about the vertical."""
    import mujoco

    model = mujoco.MjModel.from_xml_path(str(resource_path("assets/car.xml")))
    data = mujoco.MjData(model)
    mujoco.mj_forward(model, data)
    x, _, z = data.subtree_com[0]
    assert z == pytest.approx(0.074, abs=1e-3)
    assert 0.1651 - x == pytest.approx(0.15875, abs=1e-3)
    rotations = data.ximat[1:].reshape(-1, 3, 3)
    inertias = np.einsum("bij,bj,bkj->bik", rotations, model.body_inertia[1:], rotations)
    arms = (data.xipos[1:] - data.subtree_com[0])[:, :2]
    yaw_inertia = (inertias[:, 2, 2] + model.body_mass[1:] * (arms**2).sum(1)).sum()
    assert yaw_inertia == pytest.approx(0.047, abs=5e-4)
    assert (model.nq, model.nv) == (13, 12)


def test_a_changed_model_changes_the_vehicle(tmp_path: Path) -> None:
    """Nothing is repeated in code: a wider track and a weaker motor are seen."""
    wide = load_vehicle(altered(tmp_path, "0.12 0", "0.15 0"))
    assert wide.track == pytest.approx(0.3)
    weak = load_vehicle(altered(tmp_path, 'forcerange="-0.55 0.55"', 'forcerange="-0.2 0.2"'))
    assert weak.max_drive_torque == pytest.approx(0.2)


BAD = {
    "no joint": ('name="rear_left_spin"', 'name="other"', "rear_left_spin"),
    "broken XML": ("<worldbody>", "<worldbody", "not a valid MJCF"),
    "no actuator": (
        '<position name="front_left_servo" joint="front_left_steering"',
        '<position name="front_left_servo" joint="rear_right_spin"',
        "no actuators on the joint 'front_left_steering'",
    ),
    "no torque limit": (' forcerange="-0.55 0.55"', "", "forcerange"),
    "one stronger motor": (
        'joint="rear_left_spin" kv="0.05"',
        'joint="rear_left_spin" kv="0.5"',
        "motors must not differ",
    ),
    "a motor for a servo": (
        '<velocity name="rear_left_motor" joint="rear_left_spin" kv="0.05"',
        '<motor name="rear_left_motor" joint="rear_left_spin"',
        "'rear_left_spin' is no <velocity> servo",
    ),
    "a motor beside the servo": (
        "<actuator>",
        '<actuator><motor name="m" joint="rear_left_spin"/>',
        "2 actuators on the joint 'rear_left_spin'",
    ),
    "a floor of its own": (
        "<worldbody>",
        '<worldbody><geom type="plane" size="5 5 1"/>',
        "such as a floor",
    ),
    "no free base": ('<freejoint name="base"/>', "", "not free"),
    "no steering range": ('range="-0.4882 0.4882" damping', "damping", "ranges|range"),
    "rear wheels in front": ('pos="-0.1651 ', 'pos="0.3 ', "not ahead"),
    "one cylinder wheel": (
        '<geom name="front_left_contact" class="wheel"/>',
        '<geom name="front_left_contact" class="wheel" type="cylinder" size="0.0508 0.02"/>',
        "shape, radius and friction of the wheels must not differ",
    ),
    "an endless mass": (
        'mass="3.22"',
        'mass="inf"',
        "not finite: mass, chassis mass, inertia, centre of mass",
    ),
    "endless friction": (
        'sphere" size="0.0508" friction="1.05',
        'sphere" size="0.0508" friction="inf',
        "not finite: friction",
    ),
    "a wheel nowhere": ('pos="-0.1651 -0.12 0"', 'pos="nan -0.12 0"', "not finite: .*, track"),
    "one larger wheel": (
        '<geom name="front_left_contact" class="wheel"/>',
        '<geom name="front_left_contact" class="wheel" size="0.06"/>',
        "must not differ",
    ),
}


@pytest.mark.parametrize("defect", BAD)
def test_unusable_model_is_explained(defect: str, tmp_path: Path) -> None:
    """The message names the part that is missing."""
    old, new, message = BAD[defect]
    with pytest.raises(ModelError, match=message):
        load_vehicle(altered(tmp_path, old, new))


def with_wheels(folder: Path, geom: str) -> str:
    """Write the shipped model with another collision geometry on every wheel."""
    return altered(folder, '<geom type="sphere" size="0.0508"', f"<geom {geom}")


@pytest.mark.parametrize(
    ("shape", "geom"),
    {
        "cylinder": 'type="cylinder" size="0.0508 0.02" euler="1.5707963 0 0"',
        "capsule": 'type="capsule" size="0.0508 0.02" euler="1.5707963 0 0"',
        "ellipsoid": 'type="ellipsoid" size="0.0508 0.02 0.0508"',
    }.items(),
)
def test_round_wheels_are_read(shape: str, geom: str, tmp_path: Path) -> None:
    """Any round shape is a wheel, of the radius that it rolls on."""
    vehicle = load_vehicle(with_wheels(tmp_path, geom))
    assert vehicle.wheel_shape == shape
    assert vehicle.wheel_radius == pytest.approx(0.0508)


def test_box_wheels_are_refused_except_for_examination(tmp_path: Path) -> None:
    """A box stands on one corner after another; nobody should train on that."""
    model = with_wheels(tmp_path, 'type="box" size="0.0508 0.02 0.0508"')
    with pytest.raises(ModelError, match="collide as a box"):
        load_vehicle(model)
    assert load_vehicle(model, lenient=True).wheel_shape == "box"


_TURNED = '<body name="chassis" pos="0 0 0.0508">'


@pytest.mark.parametrize("turn", ["0 0 0.7", "0 0 3.1416", "0.3 -0.2 2.0"])
def test_a_base_turned_in_its_reference_pose_is_the_same_car(turn: str, tmp_path: Path) -> None:
    """All distances and directions are those that the base sees."""
    file = altered(tmp_path, _TURNED, f'<body name="chassis" pos="1 2 0.5" euler="{turn}">')
    turned, shipped = vars(load_vehicle(file)), vars(load_vehicle())
    figures = {name for name, value in shipped.items() if isinstance(value, float)}
    for name in figures | {"inertia", "centre_of_mass"}:
        assert turned[name] == pytest.approx(shipped[name], abs=1e-9), name


_RIM = '<geom name="rear_left_contact" class="wheel"/>'
_LEFT = '<joint name="rear_left_spin" class="wheel" armature="0.001"/>'
_STEER = '<joint name="front_left_steering" class="steering"/>'
_MOTOR = 'joint="rear_left_spin" kv="0.05"'
_SERVO = 'joint="front_left_steering" kp="2"'

IGNORED = {
    "gear": (_MOTOR, f'{_MOTOR} gear="3"', r"'rear_left_spin' has gear \(3\)"),
    "kv of a position servo": (_SERVO, f'{_SERVO} kv="0.1"', "'front_left_steering' has kv"),
    "time constant": (_SERVO, f'{_SERVO} timeconst="0.1"', "timeconst"),
    "an asymmetric force": (
        f'{_MOTOR} ctrlrange="-160 160" forcerange="-0.55 0.55"',
        f'{_MOTOR} ctrlrange="-160 160" forcerange="-0.1 0.55"',
        "not symmetric, -0.1 to 0.55",
    ),
    "an asymmetric command": (
        f'{_SERVO} ctrlrange="-0.4882 0.4882"',
        f'{_SERVO} ctrlrange="-0.05 0.4"',
        "not symmetric, -0.05 to 0.4",
    ),
    "a force limit that is off": (
        f'{_MOTOR} ctrlrange="-160 160"',
        f'{_MOTOR} forcelimited="false"',
        "positive forcerange",
    ),
    "one motor that is slower": (
        f'{_MOTOR} ctrlrange="-160 160"',
        f'{_MOTOR} ctrlrange="-50 50"',
        "motors must not differ",
    ),
    "an actuator beside the servos": (
        "</actuator>",
        '<velocity name="fl" joint="front_left_spin" kv="0.1" forcerange="-1 1"/></actuator>',
        "no actuators on the joint",
    ),
    "dry friction": (_LEFT, _LEFT.replace("/>", ' frictionloss="0.1"/>'), "frictionloss"),
    "a spring": (_STEER, _STEER.replace("/>", ' stiffness="1"/>'), "stiffness"),
    "a zero that is not straight ahead": (_STEER, _STEER.replace("/>", ' ref="0.1"/>'), "has ref"),
    "a wheel with a range": (_LEFT, _LEFT.replace("/>", ' range="-9 9"/>'), "has range"),
    "a range that is off": (
        'range="-0.4882 0.4882" damping',
        'limited="false" range="-0.4882 0.4882" damping',
        "steering range",
    ),
    "a wheel that slides": (
        _LEFT,
        _LEFT.replace("/>", ' type="slide"/>'),
        "'rear_left_spin' is no hinge",
    ),
    "steering that points down": (
        _STEER,
        _STEER.replace("/>", ' axis="0 0 -1"/>'),
        r"axis of 'front_left_steering' is \(0, 0, -1\)",
    ),
    "a wheel that rolls backwards": (
        _LEFT,
        _LEFT.replace("/>", ' axis="0 -1 0"/>'),
        r"axis of 'rear_left_spin' is \(0, -1, 0\)",
    ),
    "a wheel that rolls sideways": (
        _LEFT,
        _LEFT.replace("/>", ' axis="1 0 0"/>'),
        r"axis of 'rear_left_spin' is \(1, 0, 0\)",
    ),
    "a wheel off its axle": (_RIM, _RIM.replace("/>", ' pos="0.03 0 0"/>'), "30 mm off its axle"),
    "a wheel off its place": (_RIM, _RIM.replace("/>", ' pos="0 0.03 0"/>'), "symmetrically"),
    "one front wheel behind the other": (
        'name="front_right_knuckle" pos="0.1651',
        'name="front_right_knuckle" pos="0.12',
        "symmetrically",
    ),
    "a second geometry on a wheel": (_RIM, f'{_RIM}<geom size="0.06"/>', "2 geometries collide"),
    "a second one fixed to a wheel": (
        _RIM,
        f'{_RIM}<body><geom size="0.06" mass="0.01"/></body>',
        "2 geometries collide",
    ),
    "a cylinder that lies on its side": (
        '<geom type="sphere" size="0.0508"',
        '<geom type="cylinder" size="0.0508 0.02"',
        "not round about its axle",
    ),
    "a chassis below the wheels": (
        '<geom name="pan" class="visual"',
        '<geom type="box" size="0.1 0.05 0.01" pos="0 0 -0.05" mass="0.1"/><geom class="visual"',
        "'a box' reaches 9.2 mm below",
    ),
    "steering that steers the other wheel": (
        "front_left_steering",
        "other",
        "front_right_steering",
        "front_left_steering",
        "other",
        "front_right_steering",
        "steered by front_right_steering",
    ),
    "an equality": (
        "<actuator>",
        '<equality><joint joint1="rear_left_spin" joint2="rear_right_spin"/></equality><actuator>',
        "<equality>",
    ),
    "a tendon": (
        "<actuator>",
        '<tendon><fixed><joint joint="rear_left_spin" coef="1"/></fixed></tendon><actuator>',
        "<tendon>",
    ),
    "contact pairs": (
        "<actuator>",
        '<contact><pair geom1="front_left_contact" geom2="rear_left_contact"/></contact><actuator>',
        "<contact><pair>",
    ),
    "air": ('<option timestep="0.02"', '<option density="1.2" timestep="0.02"', "density"),
    "the moon": (
        '<option timestep="0.02"',
        '<option gravity="0 0 -1.6" timestep="0.02"',
        "gravity",
    ),
    "no contact": (
        "<default>\n    <default class",
        '<option><flag contact="disable"/></option><default>\n    <default class',
        "flag",
    ),
    "a body that floats": (_TURNED, _TURNED.replace(">", ' gravcomp="1">'), "gravcomp"),
    "wheels without friction": (
        'group="3" mass="0"',
        'group="3" condim="1" mass="0"',
        r"condim \(1\)",
    ),
    "a margin": ('group="3" mass="0"', 'group="3" margin="0.01" mass="0"', "has margin"),
}


@pytest.mark.parametrize("kind", IGNORED)
def test_what_would_not_be_simulated_is_refused_by_name(kind: str, tmp_path: Path) -> None:
    """An engine, or both, would leave it out without a word and drive another car."""
    *pieces, message = IGNORED[kind]
    with pytest.raises(ModelError, match=message) as caught:
        load_vehicle(altered(tmp_path, *pieces))
    assert "car.xml" in caught.value.message


def test_all_faults_are_told_at_once(tmp_path: Path) -> None:
    """Each with what to do about it."""
    file = altered(tmp_path, _LEFT, _LEFT.replace("/>", ' frictionloss="0.1" stiffness="1"/>'))
    with pytest.raises(ModelError, match=r"stiffness.*frictionloss") as caught:
        load_vehicle(file)
    assert "damping" in (caught.value.hint or "")


def test_limits_of_commands_and_joints_count(tmp_path: Path) -> None:
    """The car steers as far as servo and joint allow, and no motor gives more than its joint."""
    narrow = load_vehicle(altered(tmp_path, 'ctrlrange="-0.4882 0.4882"', 'ctrlrange="-0.3 0.3"'))
    assert narrow.max_joint_angle == pytest.approx(0.3)
    assert load_vehicle().max_wheel_speed == 160.0
    free = load_vehicle(altered(tmp_path, 'ctrlrange="-160 160"', ""))
    assert math.isinf(free.max_wheel_speed)
    weak = altered(tmp_path, 'armature="0.001"/>', 'armature="0.001" actuatorfrcrange="-0.2 0.2"/>')
    assert load_vehicle(weak).max_drive_torque == pytest.approx(0.2)


def test_mass_inertia_and_its_centre_are_read() -> None:
    """Those that are published, from the base: 0.047 kg m², 0.159 m behind the front axle."""
    vehicle = load_vehicle()
    assert vehicle.inertia[2] == pytest.approx(0.047, abs=5e-4)
    x, y, z = vehicle.centre_of_mass
    assert (0.1651 - x, y) == pytest.approx((0.15875, 0), abs=1e-3)
    assert z + vehicle.base_height == pytest.approx(0.074, abs=1e-3)
    assert vehicle.assumptions == ()


def test_a_mass_that_is_assumed_is_told(tmp_path: Path) -> None:
    """A body without inertia weighs what its geometries would as water."""
    inertial = '<inertial pos="0.00635 0 0.0269" mass="3.22" diaginertia="0.0078 0.0207 0.0250"/>'
    block = '<geom type="box" size="0.1 0.05 0.02" contype="0" conaffinity="0"/>'
    vehicle = load_vehicle(altered(tmp_path, inertial, block))
    assert vehicle.mass == pytest.approx(0.52 + 1000 * 0.2 * 0.1 * 0.04)
    (told,) = vehicle.assumptions
    assert "'chassis'" in told
    assert "1000 kg/m³ make it 0.8 kg" in told
    assert (
        load_vehicle(altered(tmp_path, inertial, block.replace("/>", ' mass="2"/>'))).assumptions
        == ()
    )


FLOODS = {
    "copies": '<replicate count="2000000" offset="1 0 0"><geom size="0.1"/></replicate>',
    "copies of copies": '<replicate count="2000"><replicate count="2000"><geom size="0.1"/>'
    "</replicate></replicate>",
    "particles": '<flexcomp name="f" type="grid" count="900 900 900" dim="3"/>',
    "included copies": '<replicate count="3000"><include file="part.xml"/></replicate>',
}


@pytest.mark.parametrize("kind", FLOODS)
def test_a_flood_is_refused_before_it_is_compiled(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By counting in the text: MuJoCo would take all memory first."""
    import mujoco

    geoms = '<geom size="0.1"/>' * 9
    (tmp_path / "part.xml").write_text(f"<mujocoinclude>{geoms}</mujocoinclude>")
    monkeypatch.setattr(mujoco.MjSpec, "from_file", lambda name: pytest.fail("it was parsed"))
    with pytest.raises(ModelError, match="too large"):
        load_vehicle(altered(tmp_path, "<worldbody>", f"<worldbody>{FLOODS[kind]}"))


def test_a_giant_texture_is_refused(tmp_path: Path) -> None:
    """Of ten billion pixels; a few copies and small pictures are not."""
    texture = '<asset><texture name="t" type="2d" builtin="flat" width="{0}" height="{0}"/></asset>'
    with pytest.raises(ModelError, match="too large"):
        load_vehicle(altered(tmp_path, "<worldbody>", f"{texture.format(100000)}<worldbody>"))
    lights = '<replicate count="9" offset="1 0 0"><light/></replicate>'
    file = altered(tmp_path, "<worldbody>", f"{texture.format(64)}<worldbody>{lights}")
    assert replace(load_vehicle(file), file=load_vehicle().file) == load_vehicle()


def test_a_model_that_diverges_leaves_no_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """MuJoCo warns into MUJOCO_LOG.TXT in the working directory."""
    monkeypatch.chdir(tmp_path)
    heavy = altered(
        tmp_path, 'damping="0.0002"', 'damping="1e30" stiffness="1e30" springref="1e30"'
    )
    with pytest.raises(ModelError):
        load_vehicle(heavy)
    assert [file.name for file in tmp_path.iterdir()] == ["car.xml"]


def test_joints_of_a_shipped_car_are_not_named_anew() -> None:
    """They are known, and names that do nothing would be taken for heard."""
    for own in ({"steering_joints": ["a", "b"]}, {"wheel_joints": ["a", "b", "c", "d"]}):
        with pytest.raises(ModelError, match="'sedan', which comes with diffcar, are known"):
            load_vehicle("sedan", reading=CarReadingConfig(**own))


def test_as_many_joints_are_named_as_a_car_has() -> None:
    """In the words of a car, not of a list."""
    with pytest.raises(ValueError, match="a car has 2 of them, and 1 are named"):
        CarReadingConfig(steering_joints="a")
    with pytest.raises(ValueError, match="a car has 4 of them, and 2 are named"):
        CarReadingConfig(wheel_joints=["a", "b"])


def test_the_racer_is_driven_by_all_wheels() -> None:
    """Four motors of 0.45 N m: 9.5 m/s² of its 3.74 kg."""
    racer = load_vehicle("racer")
    assert (racer.drive, racer.torque_split, len(racer.driven_joints)) == ("all", 0.5, 4)
    force = sum(racer.max_drive_torques) / racer.wheel_radius
    assert force / racer.mass == pytest.approx(9.5, abs=0.05)
    assert racer.inertia[2] == pytest.approx(0.047, abs=1e-3)
    assert load_vehicle().drive == "rear"


def test_the_motors_of_a_model_say_which_axle_is_driven(tmp_path: Path) -> None:
    """Those of the racer's rear taken away, the front drives; of one wheel alone, none does."""
    text = load_vehicle("racer").file.read_text()
    front, lame = tmp_path / "front.xml", tmp_path / "lame.xml"
    without = [line for line in text.splitlines() if "rear_left_motor" not in line]
    lame.write_text("\n".join(without))
    front.write_text("\n".join(line for line in without if "rear_right_motor" not in line))
    assert load_vehicle(front).drive == "front"
    assert load_vehicle(front).driven_joints == ("front_left_spin", "front_right_spin")
    with pytest.raises(ModelError, match="no actuators on the joint 'rear_left_spin'"):
        load_vehicle(lame)


def test_motors_of_one_axle_must_be_alike(tmp_path: Path) -> None:
    """Front and rear may differ; left and right may not."""
    text = load_vehicle("racer").file.read_text()
    motor = '"rear_left_spin" kv="0.05" ctrlrange="-400 400" forcerange="-0.45 0.45"'
    assert text.count(motor) == 1
    model = tmp_path / "uneven.xml"
    model.write_text(text.replace(motor, motor.replace("0.45", "0.3")))
    with pytest.raises(ModelError, match="the motors must not differ"):
        load_vehicle(model)
    model.write_text(
        text.replace(motor, motor.replace("0.45", "0.3")).replace(
            motor.replace("left", "right"), motor.replace("left", "right").replace("0.45", "0.3")
        )
    )
    assert load_vehicle(model).torque_split == pytest.approx(0.6)


def test_the_sedan_has_the_figures_that_its_model_tells() -> None:
    """1.4 t, 60 % of it in front, 2,500 kg m² about the vertical; it steers to 0.6 rad."""
    sedan = load_vehicle("sedan")
    assert sedan.mass == pytest.approx(1400)
    assert (sedan.wheelbase, sedan.track, sedan.wheel_radius) == pytest.approx((2.7, 1.55, 0.32))
    assert sedan.height == pytest.approx(0.55, abs=1e-3)
    assert sedan.centre_of_mass[0] == pytest.approx(0.27, abs=1e-3)
    assert sedan.inertia[2] == pytest.approx(2500, rel=0.005)
    assert sedan.max_steering == pytest.approx(0.6, abs=1e-3)
    assert sedan.top_speed == pytest.approx(30, abs=0.1)
    assert sedan.drive == "front"


def test_the_driven_wheels_carry_less_when_it_matters() -> None:
    """Rear wheels in braking, front ones in speeding up; all four always carry all."""
    sedan = load_vehicle("sedan")
    shift = 1 + sedan.height / sedan.wheelbase
    assert sedan.driven_load == pytest.approx(0.6 / shift, rel=1e-3)
    assert sedan.driven_by("rear").driven_load == pytest.approx(0.4 / shift, rel=1e-3)
    assert sedan.driven_by("all").driven_load == 1.0
