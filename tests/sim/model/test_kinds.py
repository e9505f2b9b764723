"""Kinds of cars that others write: read as what they are, with a word about it, or refused."""

import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from diffcar.base.errors import ModelError
from diffcar.sim.model.read import load_vehicle
from diffcar.sim.model.vehicle import Vehicle
from tests.sim.model.cars import (
    FRONT,
    REAR,
    actuators,
    adopted,
    link,
    mjcf,
    rest_height,
    tyre,
    urdf,
    write,
)


def require(car: Vehicle, *, mass: float = 3.6, reach: float = 0.4, drive: str = "rear") -> None:
    """Hold the figures that all cars here share, and that they stand."""
    assert car.wheelbase == pytest.approx(0.32, abs=1e-4)
    assert car.track == pytest.approx(0.2, abs=1e-4)
    assert car.mass == pytest.approx(mass, rel=1e-4)
    assert car.max_joint_angle == pytest.approx(reach, abs=1e-6)
    assert car.wheel_shape == "sphere"
    assert car.drive == drive
    assert rest_height(car) == pytest.approx(car.base_height, abs=2e-3)


def axes(car: Vehicle) -> np.ndarray:
    """Return the axes of steering joints and wheels in the world."""
    import mujoco

    model = mujoco.MjModel.from_xml_path(str(car.file))
    pose = mujoco.MjData(model)
    mujoco.mj_forward(model, pose)
    names = (*car.steering_joints, *car.wheel_joints)
    return np.array([pose.xaxis[model.joint(name).id] for name in names])


CONTINUOUS = ('type="revolute"', 'type="continuous"')
FOOTPRINT = (
    '<link name="base_link">',
    '<link name="base_footprint"/><joint name="base_joint" type="fixed">'
    '<parent link="base_footprint"/><child link="base_link"/><origin xyz="0 0 0.02"/></joint>'
    '<link name="base_link">',
)
MASSLESS = (link("left_hinge", 0.1), '<link name="left_hinge"/>')
TURNED = ('rpy="1.5708 0 0"', 'rpy="1.57 0 0"')


def changed(*changes: tuple[str, str]) -> str:
    """Return the URDF with pieces replaced."""
    text = urdf()
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new)
    return text


def test_the_velocity_of_a_urdf_is_what_motors_reach(tmp_path: Path) -> None:
    """The least of the driven wheels'; nobody means zero."""
    car, told = adopted(tmp_path, changed(), "a.urdf")
    assert car.max_wheel_speed == 100
    assert "the motors reach 100 rad/s" in told
    assert car.driven_by("all").max_wheel_speed == 100
    none, told = adopted(tmp_path, changed((' velocity="100"', ' velocity="0"')), "a.urdf")
    assert none.max_wheel_speed == np.inf
    assert "the motors reach" not in told
    assert "the velocity 0 of left_front_wheel_joint is taken for no limit" in told


def test_units_that_are_not_ours_are_guessed_at(tmp_path: Path) -> None:
    """Millimetres and degrees are refused by what comes of them, with a hint at what they are."""
    for change, told, hint in (
        (('radius="0.05"', 'radius="50"'), "wheels of 50 m radius, 0.32 m .* overlap", "metres"),
        (
            ('lower="-0.42" upper="0.42"', 'lower="-25" upper="25"'),
            "steer by 25 rad, more than",
            "25 degrees",
        ),
    ):
        with pytest.raises(ModelError, match=told) as caught:
            adopted(tmp_path, changed(change), "a.urdf")
        assert hint in (caught.value.hint or "")


def test_limits_of_a_continuous_joint_hold(tmp_path: Path) -> None:
    """A slip that many share; those of the wheels, declared so rightly, do not."""
    car, told = adopted(tmp_path, changed(CONTINUOUS), "a.urdf")
    require(car, mass=3.6, reach=0.42)
    assert "declared continuous, with limits, which hold: left_steering_hinge_joint" in told
    none = changed(CONTINUOUS, (' lower="-0.42" upper="0.42"', ""))
    with pytest.raises(ModelError, match="no range about zero"):
        adopted(tmp_path, none, "a.urdf")


def test_frames_without_mass_are_one_with_what_is_fixed_to_them(tmp_path: Path) -> None:
    """The base stands where the footprint is, and weighs what hangs on it."""
    car, _ = adopted(tmp_path, changed(FOOTPRINT), "a.urdf")
    require(car, mass=3.6, reach=0.42)
    assert car.base_height == pytest.approx(-0.02, abs=1e-6)


def test_steering_links_without_mass_get_a_little(tmp_path: Path) -> None:
    """A thousandth of what the file says that the rest weighs."""
    car, told = adopted(tmp_path, changed(MASSLESS), "a.urdf")
    require(car, mass=3.5 * 1.001, reach=0.42)
    assert "moving without a mass, taken for balls of 0.0035 kg: left_hinge" in told


def test_axes_a_little_off_are_straightened(tmp_path: Path) -> None:
    """Turned by 1.57; one by three degrees is meant so, and by fifteen is none."""
    car, told = adopted(tmp_path, changed(TURNED), "a.urdf")
    require(car, reach=0.42)
    assert axes(car)[2:] == pytest.approx(np.tile([0.0, 1.0, 0.0], (4, 1)), abs=1e-6)
    assert "left_front_wheel_joint (0.046°)" in told
    caster, told = adopted(tmp_path, mjcf(('axis="0 0 1"', 'axis="0.052 0 1"')))
    assert "turned a little" not in told
    assert axes(caster)[0, 0] == pytest.approx(0.052, abs=1e-3)
    with pytest.raises(ModelError, match="of the joint 'fl_steer' is not along z"):
        adopted(tmp_path, mjcf(('axis="0 0 1"', 'axis="0.27 0 1"')))


def test_what_only_sounds_like_steering_is_held(tmp_path: Path) -> None:
    """A driver's wheel carries no wheel; what couples it and the wheels is taken away."""
    wheel = """<body name="cabin" pos="0 0 0.1"><joint name="steering_wheel" axis="1 0 0.3"/>
        <geom type="cylinder" size="0.04 0.002" mass="0.01"/></body>"""
    ties = """<equality><joint joint1="fl_steer" joint2="fr_steer"/>
        <joint joint1="steering_wheel" joint2="fl_steer"/>
        <joint joint1="rl_wheel" joint2="rr_wheel"/></equality>"""
    text = mjcf(("</body></worldbody>", f"{wheel}</body></worldbody>"), actuators(ties))
    car, told = adopted(tmp_path, text)
    require(car, mass=3.51)
    assert "neither steers nor rolls: steering_wheel" in told
    assert "rl_wheel and rr_wheel by <equality>" in told


def test_an_equality_that_closes_a_loop_is_refused(tmp_path: Path) -> None:
    """It is not certain what the car would be without it."""
    rod = '<equality><connect body1="fl_knuckle" body2="fr_knuckle" anchor="0 0 0"/></equality>'
    with pytest.raises(ModelError, match="<equality> of the kind connect") as caught:
        adopted(tmp_path, mjcf(actuators(rod)))
    assert "leave it out, and the rods" in (caught.value.hint or "")


_SERVO = '<position name="{0}" {1} kp="3" ctrlrange="-0.4 0.4" forcerange="-2 2"/>'
_STEERING = "".join(_SERVO.format(name, f'joint="{name}_steer"') for name in ("fl", "fr"))


def coupled(kind: str, names: tuple[str, ...], coefficient: float) -> str:
    """Return a tendon that adds up the angles of joints."""
    joints = "".join(f'<joint joint="{name}" coef="{coefficient}"/>' for name in names)
    return f'<tendon><fixed name="{kind}">{joints}</fixed></tendon>'


def test_one_motor_over_four_wheels_drives_all(tmp_path: Path) -> None:
    """By a tendon: a quarter of its speed and of its torque on each wheel."""
    wheels = ("fl_wheel", "fr_wheel", "rl_wheel", "rr_wheel")
    motor = '<velocity name="motor" tendon="shaft" kv="0.4" ctrlrange="-90 90" forcerange="-4 4"/>'
    ties = coupled("shaft", wheels, 0.25)
    text = mjcf(actuators(f"{ties}<actuator>{_STEERING}{motor}</actuator>"))
    car, told = adopted(tmp_path, text)
    require(car, mass=3.5, drive="all")
    # The shaft turns as fast as the mean of the wheels, and its torque is shared by four.
    assert car.max_drive_torques == pytest.approx((1.0,) * 4)
    assert car.drive_gains == pytest.approx((0.1,) * 4)
    assert car.max_wheel_speed == pytest.approx(90)
    assert (car.steering_gain, car.max_steering_torque) == pytest.approx((3, 2))
    assert "fl_wheel, fr_wheel, rl_wheel, rr_wheel by a tendon" in told
    assert "no servos" not in told


def test_one_servo_steers_both_wheels(tmp_path: Path) -> None:
    """By a tendon, whose joints it is shared out to; wheels that turn the other way, too."""
    ties = coupled("rack", ("fl_steer", "fr_steer"), 0.5)
    motors = "".join(
        f'<velocity name="{n}" joint="{n}_wheel" kv="0.1" forcerange="-1 1"/>' for n in ("rl", "rr")
    )
    servo = _SERVO.format("servo", 'tendon="rack"')
    car, told = adopted(tmp_path, mjcf(actuators(f"{ties}<actuator>{servo}{motors}</actuator>")))
    require(car, mass=3.5)
    assert (car.steering_gain, car.max_steering_torque) == pytest.approx((1.5, 1.0))
    assert car.max_drive_torque == 1.0
    assert "no servos" not in told


def on_meshes(front: float, rear: float) -> str:
    """Return the car on wheels that are meshes."""
    assets = "".join(
        f'<mesh name="{name}" vertex="{tyre(radius)}"/>'
        for name, radius in (("front", front), ("rear", rear))
    )
    cylinder = 'type="cylinder" size="0.05 0.02" euler="1.5707963 0 0"'
    return mjcf(
        ("<worldbody>", f"<asset>{assets}</asset><worldbody>"),
        front=FRONT.replace(cylinder, 'type="mesh" mesh="front"'),
        rear=REAR.replace(cylinder, 'type="mesh" mesh="rear"'),
    )


def test_radii_of_meshes_that_differ_by_a_slip_are_one(tmp_path: Path) -> None:
    """Their mean, with the figures; by a tenth they are meant to differ, and refused."""
    car, told = adopted(tmp_path, on_meshes(0.05, 0.0502))
    require(car, mass=3.5)
    assert car.wheel_radius == pytest.approx(0.0501, abs=2e-5)
    assert "rl_wheel 0.0502 m" in told
    with pytest.raises(ModelError, match=r"fl_wheel 0.05 m.*rr_wheel 0.055 m") as caught:
        adopted(tmp_path, on_meshes(0.05, 0.055))
    assert "0.0525 m" in (caught.value.hint or "")


def test_dry_friction_is_left_out(tmp_path: Path) -> None:
    """Neither engine's is differentiable; the note has its size."""
    text = mjcf(('axis="0 1 0"/>', 'axis="0 1 0" frictionloss="0.02"/>'))
    car, told = adopted(tmp_path, text)
    require(car, mass=3.5)
    assert "dry friction of joints is left out: fl_wheel (0.02 N m)" in told


_BOTH = '<body name="{n}" pos="{p}">%s<geom name="{n}_tyre" type="cylinder" size="0.05 0.02" '
_BOTH += 'euler="1.5707963 0 0" mass="0.1"/></body>'
_JOINTS = (
    '<joint name="{n}_steer" axis="0 0 1" range="-0.4 0.4"/>',
    '<joint name="{n}_wheel" axis="0 1 0"/>',
)


@pytest.mark.parametrize("is_swapped", [False, True])
def test_two_joints_of_one_body_get_bodies_of_their_own(is_swapped: bool, tmp_path: Path) -> None:
    """Steering first: an axle that comes before it would turn what it turns about."""
    joints = "".join(reversed(_JOINTS) if is_swapped else _JOINTS)
    car, told = adopted(tmp_path, mjcf(front=_BOTH % joints))
    require(car, mass=3.4 + 2 * 0.003)
    assert ("fl_steer comes before fl_wheel now" in told) == is_swapped


def test_joints_are_found_by_where_they_are(tmp_path: Path) -> None:
    """Without a word about wheels or steering in their names, or without any name."""
    car, told = adopted(tmp_path, mjcf().replace("_steer", "_a").replace("_wheel", "_b"))
    require(car, mass=3.5)
    assert "steering joints fl_a, fr_a; wheel joints fl_b, fr_b, rl_b, rr_b" in told
    names = ("fl", "fr", "rl", "rr")
    nameless, _ = adopted(tmp_path, mjcf(*((f'joint name="{n}_wheel"', "joint") for n in names)))
    require(nameless, mass=3.5)


def test_places_decide_where_names_are_swapped(tmp_path: Path) -> None:
    """Left is where y is positive, and front is where x is."""
    swapped = {"fl_wheel": "rr_wheel", "rr_wheel": "fl_wheel", "fl_steer": "fr_steer"}
    swapped["fr_steer"] = "fl_steer"
    marks = [(f'joint name="{old}"', f'joint name="{new}!"') for old, new in swapped.items()]
    car, told = adopted(tmp_path, mjcf(*marks).replace('!"', '"'))
    require(car, mass=3.5)
    assert "steering joints fr_steer, fl_steer; wheel joints rr_wheel, fr_wheel, rl_wheel" in told


PACKAGE = '<mesh filename="package://my_car/meshes/tyre.obj"/>'


def in_a_package(folder: Path, package: str, manifest: str = "") -> Path:
    """Write a car into a ROS package whose wheels are meshes; return the model."""
    (folder / package / "meshes").mkdir(parents=True)
    (folder / package / "urdf").mkdir()
    if manifest:
        text = f"<package><name>{manifest}</name></package>"
        (folder / package / "package.xml").write_text(text)
    corners = np.array(tyre(0.05).split(), dtype=float).reshape(-1, 3)[:, [0, 2, 1]]
    lines = [f"v {x:.6f} {y:.6f} {z:.6f}" for x, y, z in corners]
    lines += [f"f {n} {(n % 48) + 1} {n + 48}" for n in range(1, 49)]
    (folder / package / "meshes" / "tyre.obj").write_text("\n".join(lines))
    text = changed(('<cylinder radius="0.05" length="0.045"/>', PACKAGE))
    return write(folder / package / "urdf", text, "car.urdf")


@pytest.mark.parametrize(("package", "manifest"), [("my_car", ""), ("checkout-7", "my_car")])
def test_meshes_are_found_in_packages(package: str, manifest: str, tmp_path: Path) -> None:
    """In a folder above the model, by its name or by what its package.xml says."""
    car = load_vehicle(in_a_package(tmp_path, package, manifest))
    require(car, reach=0.42)
    assert car.wheel_radius == pytest.approx(0.05, abs=1e-5)


def test_a_mesh_that_is_not_found_is_told_with_where_it_was_looked_for(tmp_path: Path) -> None:
    """Of a package that is another, and of one that lacks it."""
    with pytest.raises(ModelError, match="no folder above the model is the package 'my_car'"):
        load_vehicle(in_a_package(tmp_path, "other"))
    file = in_a_package(tmp_path, "my_car")
    (tmp_path / "my_car" / "meshes" / "tyre.obj").unlink()
    with pytest.raises(ModelError, match=r"the package 'my_car' at .* has no such file"):
        load_vehicle(file)


def test_looks_that_cannot_be_read_are_left_out(tmp_path: Path) -> None:
    """What a car shows is no reason to refuse it."""
    (tmp_path / "hull.dae").write_text("<COLLADA/>")
    looks = '<visual><geometry><mesh filename="hull.dae"/></geometry></visual>'
    text = changed(('<link name="base_link">', f'<link name="base_link">{looks}'))
    car, told = adopted(tmp_path, text, "a.urdf")
    require(car, reach=0.42)
    assert "the mesh 'hull.dae' of 'base_link' is left out: MuJoCo reads .stl, .obj, .msh" in told


def test_assumed_motors_give_half_of_what_slippery_wheels_hold(tmp_path: Path) -> None:
    """And no more than that on those that hold more than they weigh."""
    slippery, ordinary, sticky = (
        adopted(tmp_path, mjcf().replace("<geom ", f'<geom friction="{own}" '), "a.xml")[0]
        for own in (0.4, 1.0, 1.5)
    )
    assert slippery.max_drive_torque == pytest.approx(0.4 * ordinary.max_drive_torque, rel=1e-4)
    assert sticky.max_drive_torque == ordinary.max_drive_torque


def test_of_an_mjcf_no_xacro_is_expanded(tmp_path: Path) -> None:
    """Which is told, rather than that a number is none."""
    text = mjcf().replace("<worldbody>", "<worldbody><!-- --><site size='${r}'/>")
    with pytest.raises(ModelError, match="URDF alone is expanded") as caught:
        adopted(tmp_path, text, "car.xml.xacro")
    assert "xacro car.xml.xacro > model.xml" in (caught.value.hint or "")


XACRO = '<robot name="a" xmlns:xacro="http://www.ros.org/wiki/xacro">'


def test_a_xacro_is_expanded_or_told_how(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the package xacrodoc where it is installed; an expanded one is a URDF like any other."""
    text = urdf().replace('<robot name="racer">', XACRO)
    car, told = adopted(tmp_path, text, "car.urdf.xacro")
    require(car, reach=0.42)
    assert "xacro" not in told
    raw = text.replace('<link name="base_link">', '<xacro:arg name="x"/><link name="base_link">')
    monkeypatch.setitem(sys.modules, "xacrodoc", None)
    with pytest.raises(ModelError, match="is a xacro, which stands for a model") as caught:
        adopted(tmp_path, raw, "car.urdf.xacro")
    assert "xacro car.urdf.xacro > car.urdf" in (caught.value.hint or "")
    assert "pip install 'diffcar[xacro]'" in (caught.value.hint or "")

    class XacroDoc:
        @classmethod
        def from_file(cls, name: str, resolve_packages: bool) -> "XacroDoc":
            assert (name, resolve_packages) == (str(tmp_path / "car.urdf.xacro"), False)
            return cls()

        def to_urdf_string(self) -> str:
            return urdf()

    for name, content in {
        "xacrodoc": {"XacroDoc": XacroDoc},
        "xacro": {"init_stacks": str},
    }.items():
        installed = ModuleType(name)
        vars(installed).update(content)
        monkeypatch.setitem(sys.modules, name, installed)
    car, told = adopted(tmp_path, raw, "car.urdf.xacro")
    require(car, reach=0.42)
    assert "expanded as xacro" in told


def test_a_world_around_the_car_is_left_out(tmp_path: Path) -> None:
    """Hills, walls, lights, cameras, and a ball that rolls about."""
    field = '<asset><hfield name="hills" nrow="3" ncol="3" size="5 5 1 0.1"/></asset><worldbody>'
    world = f"""{field}<light pos="0 0 9"/><camera name="top" pos="0 0 9"/>
        <geom name="ground" type="hfield" hfield="hills"/>
        <body name="wall" pos="3 0 0"><geom name="bricks" type="box" size="0.1 3 1"/></body>
        <body name="ball" pos="1 0 1"><freejoint/><geom size="0.1"/></body>"""
    car, told = adopted(tmp_path, mjcf(("<worldbody>", world)))
    require(car, mass=3.5)
    assert "'ground', 'bricks', lights; diffcar lays the road" in told
    assert "the body 'ball', which moves" in told
    assert car.max_contacts == 8


def two_cars() -> str:
    """Return a scene of two cars."""
    one = mjcf()
    body = one[one.index("<body") : one.index("</worldbody>")]
    other = body.replace('name="', 'name="b_').replace("<freejoint/>", '<freejoint name="f"/>')
    return one.replace("</worldbody>", f"{other}</worldbody>")


_TWO_WHEELS = (
    '<body name="fl" pos="0.1 0 -0.03"><joint type="ball"/><geom size="0.02" mass="0.1"/></body>'
)
_WHOLE = """<body name="axle" pos="0.16 0 0"><inertial pos="0 0 0" mass="0.1"
    diaginertia="1e-4 1e-4 1e-4"/><joint name="pivot" axis="0 0 1" range="-0.4 0.4"/>%s</body>"""


def whole_axle() -> str:
    """Return a car whose front axle turns as a whole."""
    wheels = "".join(REAR.format(n=n, p=f"0 {y} 0") for n, y in (("fl", 0.1), ("fr", -0.1)))
    text = mjcf(front="{n}{p}")
    return text.replace("fl0.16 0.1 0", _WHOLE % wheels).replace("fr0.16 -0.1 0", "")


def differential() -> str:
    """Return a robot of two wheels and a caster."""
    text = mjcf(front="{n}{p}")
    return text.replace("fl0.16 0.1 0", _TWO_WHEELS).replace("fr0.16 -0.1 0", "")


REFUSED = {
    "two cars": (two_cars, "holds 2 bodies with hinges, 'base', 'b_base'", "keep one"),
    "skid-steered": (lambda: mjcf(front=REAR), "skid steering", "about the vertical"),
    "differential": (differential, "two driven wheels", "--wheel-joints"),
    "rear-steered": (
        lambda: mjcf(front=REAR, rear=FRONT),
        "steers its rear wheels, rl_wheel and rr_wheel",
        "half a turn",
    ),
    "four-wheel-steered": (lambda: mjcf(rear=FRONT), "steers all four", "--steering-joints A,B"),
    "a whole axle": (whole_axle, "turns a whole axle on the hinge 'pivot'", "of its own"),
    "three wheels": (
        lambda: mjcf(front="{n}{p}").replace("fl0.16 0.1 0", FRONT.format(n="f", p="0.16 0 0")),
        "3 wheel joints instead of 4: f_wheel",
        "its hinges are",
    ),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_other_robots_are_refused_in_plain_words(kind: str, tmp_path: Path) -> None:
    """What they are, what diffcar drives, and what can be done about it."""
    text, message, hint = REFUSED[kind]
    with pytest.raises(ModelError, match=message) as caught:
        adopted(tmp_path, text())
    assert "mine.xml" in caught.value.message
    assert hint in (caught.value.hint or "")


def test_rear_steering_can_be_held(tmp_path: Path) -> None:
    """As the hint of the refusal says: by naming the joints of the front."""
    car, told = adopted(tmp_path, mjcf(rear=FRONT), steering_joints=["fr_steer", "fl_steer"])
    require(car, mass=3.6)
    assert "neither steers nor rolls: rl_steer, rr_steer" in told


def test_wheels_stay_as_they_are_where_that_is_asked_for(tmp_path: Path) -> None:
    """The hull, too, which else only shows; both ways the car weighs the same."""
    as_is, told = adopted(tmp_path, mjcf(), wheels="as-is")
    assert as_is.wheel_shape == "cylinder"
    assert as_is.max_contacts == 4 * 5 + 8
    assert "spheres" not in told
    spheres, told = adopted(tmp_path, mjcf())
    assert spheres.max_contacts == 4 * 2
    assert spheres.mass == pytest.approx(as_is.mass)
    assert spheres.inertia == pytest.approx(as_is.inertia)
    assert "collide as spheres of 0.05 m and show as they did (cylinder)" in told
    assert "what else collides (1) only shows" in told


def test_steering_that_reaches_differently_far_is_cut_to_the_least(tmp_path: Path) -> None:
    """Of all four ends."""
    text = mjcf().replace('range="-0.4 0.4"', 'range="-0.3 0.5"', 1)
    car, told = adopted(tmp_path, text)
    require(car, mass=3.5, reach=0.3)
    assert "'fr_steer' is taken for 0.3" in told


def test_steering_without_a_range_reaches_as_far_as_its_servo(tmp_path: Path) -> None:
    """Where that has one; else the error says what is missing."""
    free = (' range="-0.4 0.4"', "")
    car, told = adopted(tmp_path, mjcf(free, actuators(f"<actuator>{_STEERING}</actuator>")))
    require(car, mass=3.5, reach=0.4)
    assert "fl_steer is limited as the commands of its servo are" in told
    with pytest.raises(ModelError, match="no range about zero"):
        adopted(tmp_path, mjcf(free))


def test_diffcars_own_names_in_other_places_are_given_anew(tmp_path: Path) -> None:
    """Left and right exchanged, as whoever turns y over would."""
    text = mjcf()
    for old, new in {"fl": "front_right", "fr": "front_left", "rl": "x", "rr": "rear_left"}.items():
        text = text.replace(f'joint name="{old}_wheel"', f'joint name="{new}_spin"')
    car, _ = adopted(tmp_path, text)
    require(car, mass=3.5)


def test_degrees_are_degrees(tmp_path: Path) -> None:
    """As MJCF has them unless it says otherwise."""
    text = mjcf().replace('<compiler angle="radian"/>', "").replace("-0.4 0.4", "-20 30")
    car, told = adopted(tmp_path, text.replace("1.5707963", "90"))
    require(car, mass=3.5, reach=np.radians(20))
    assert "the range -20 to 30 deg of the steering joint 'fl_steer' is taken for 20 deg" in told


def test_motors_of_a_urdf_are_those_of_its_transmissions(tmp_path: Path) -> None:
    """On both front wheels, the front drives."""
    drives = "".join(
        f'<transmission name="{side}"><joint name="{side}_front_wheel_joint"/></transmission>'
        for side in ("left", "right")
    )
    car, _ = adopted(tmp_path, changed(("</robot>", f"{drives}</robot>")), "a.urdf")
    require(car, reach=0.42, drive="front")


def test_the_buggy_is_what_it_says() -> None:
    """3 kg, 0.324 m between the axles, all wheels driven."""
    car = load_vehicle("buggy")
    assert (car.wheelbase, car.track, car.wheel_radius) == pytest.approx((0.324, 0.24, 0.0535))
    assert car.mass == pytest.approx(3.006)
    assert (car.drive, car.max_joint_angle) == ("all", 0.5)
    assert car.files == ()
    assert load_vehicle("buggy", drive="rear").drive == "rear"
    told = " | ".join(car.assumptions)
    for piece in ("no mass|moving without a mass", "dry friction", "0.046°", "continuous"):
        assert any(part in told for part in piece.split("|"))
