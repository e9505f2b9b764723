"""Somebody else's car: found by name or by flag, freed, given servos, or refused with a reason."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from diffcar.base.errors import ModelError
from diffcar.base.files import resource_path
from diffcar.sim.config import CarReadingConfig
from diffcar.sim.model.adopt import adopt_model
from diffcar.sim.model.read import load_vehicle
from diffcar.sim.model.vehicle import Vehicle
from diffcar.sim.model.wheels import WHEEL_SHAPES, with_wheels
from tests.sim.model.cars import link, urdf, write

SHIPPED = resource_path("assets/car.xml").read_text()
AS_IS = CarReadingConfig(wheels="as-is")


def test_urdf_becomes_a_car(tmp_path: Path) -> None:
    """Joints by place, a free base, servos that are said to be assumed, axes all one way."""
    vehicle = adopt_model(write(tmp_path, urdf()), tmp_path, AS_IS)
    assert replace(vehicle, assumptions=()) == load_vehicle(vehicle.file)
    assert vehicle.wheelbase == pytest.approx(0.32)
    assert vehicle.track == pytest.approx(0.2)
    assert vehicle.wheel_shape == "cylinder"
    assert vehicle.max_joint_angle == pytest.approx(0.42)
    notes = " ".join(vehicle.assumptions)
    assert "free" not in notes, "no URDF says so"
    assert "no servos" in notes


def test_wheels_turn_forward_on_either_side(tmp_path: Path) -> None:
    """Axes that point outward on both sides are turned to the left."""
    import mujoco

    adopted = adopt_model(write(tmp_path, urdf()), tmp_path)
    model = mujoco.MjModel.from_xml_path(str(adopted.file))
    pose = mujoco.MjData(model)
    mujoco.mj_forward(model, pose)
    for name in ("rear_left_spin", "rear_right_spin"):
        assert pose.xaxis[model.joint(name).id][1] == pytest.approx(1.0, abs=1e-4)


def test_joints_can_be_named(tmp_path: Path) -> None:
    """Any that are named are taken, in any order; one that is none is told, with all that are."""
    file = write(tmp_path, urdf(wheel="j_{side}_{end}"))
    names = ["j_right_rear", "j_left_rear", "j_left_front", "j_right_front"]
    adopted = adopt_model(file, tmp_path, CarReadingConfig(wheel_joints=names))
    assert adopted.wheelbase == pytest.approx(0.32)
    with pytest.raises(ModelError, match="no hinge 'j_left'") as caught:
        adopt_model(file, tmp_path, CarReadingConfig(wheel_joints=["j_left", *names[1:]]))
    assert "j_left_front" in (caught.value.hint or "")


_MESH = '<mesh filename="package://racer/meshes/tyre.stl"/>'


@pytest.mark.parametrize(
    ("name", "text", "message", "hint"),
    [
        ("a.urdf", "<robot", "cannot be read as a car: XML", ""),
        ("a.xml", "<mujoco><worldbody/></mujoco>", "world holds 0", ""),
        (
            "a.urdf",
            urdf().replace('kind="revolute"', 'kind="fixed"').replace('"revolute"', '"fixed"'),
            "0 steering joints",
            "left_front",
        ),
        (
            "a.urdf",
            urdf().replace('<axis xyz="0 0 -1"/>', '<axis xyz="1 0 0"/>'),
            "axis of the joint 'left_front_wheel_joint' is not along y",
            "",
        ),
        (
            "a.urdf",
            urdf().replace('<cylinder radius="0.05" length="0.045"/>', _MESH, 1),
            "tyre.stl",
            "replace package:// by paths relative to the model",
        ),
        ("car", SHIPPED, "cannot be read as a car", "name the file .xml"),
        ("car.txt", SHIPPED, "cannot be read as a car", "name the file .xml"),
        (
            "a.xml",
            SHIPPED.replace('geom name="front_left_contact"', 'geom size="0.06"'),
            "wheels of one radius",
            "",
        ),
    ],
)
def test_what_is_no_car_is_refused(
    name: str, text: str, message: str, hint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the reason and the user's file, and without a log file of MuJoCo's."""
    here, there = tmp_path / "here", tmp_path / "there"
    here.mkdir()
    there.mkdir()
    monkeypatch.chdir(here)
    file = write(here, text, name)
    with pytest.raises(ModelError, match=message) as caught:
        adopt_model(file, there)
    assert repr(str(file)) in caught.value.message
    assert str(there) not in caught.value.message
    assert hint in (caught.value.hint or "")
    assert [path.name for path in here.iterdir()] == [name]


def adopt_shipped(folder: Path, *changes: tuple[str, str]) -> tuple[Vehicle, str]:
    """Adopt the shipped model with pieces replaced; return the car and the notes."""
    text = SHIPPED
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    adopted = adopt_model(write(folder, text, "mine.xml"), folder)
    return adopted, " ".join(adopted.assumptions)


def test_good_servos_and_an_empty_world_stay(tmp_path: Path) -> None:
    """The shipped car comes back as it was, and the user's file is not written over."""
    vehicle, notes = adopt_shipped(tmp_path)
    assert replace(vehicle, file=load_vehicle().file, assumptions=()) == load_vehicle()
    assert "servos" not in notes
    assert "removed" not in notes
    assert (tmp_path / "mine.xml").read_text() == SHIPPED


def test_what_stands_beside_the_car_is_removed(tmp_path: Path) -> None:
    """A floor would lie on diffcar's own; what refers to it, or to joints by name, goes too."""
    import mujoco

    floor = """<worldbody><geom name="floor" type="plane" size="5 5 1"/>
        <body name="ramp"><body><geom type="box" size="1 1 1" pos="9 0 0"/></body></body>"""
    others = """<contact><pair geom1="floor" geom2="front_left_contact"/></contact>
        <sensor><jointpos joint="front_left_steering"/></sensor></mujoco>"""
    changes = (("<worldbody>", floor), ("</mujoco>", others))
    vehicle, notes = adopt_shipped(tmp_path, *changes)
    assert "'floor', a box" in notes
    model = mujoco.MjModel.from_xml_path(str(vehicle.file))
    assert model.ngeom == mujoco.MjModel.from_xml_path(str(load_vehicle().file)).ngeom
    assert vehicle.max_contacts == load_vehicle().max_contacts


_MOTOR = '<velocity name="rear_left_motor" joint="rear_left_spin" kv="0.05"'


@pytest.mark.parametrize(
    ("old", "new", "num_replaced"),
    [
        (_MOTOR, f'<motor joint="rear_left_spin"/>{_MOTOR}', 3),
        (_MOTOR, '<motor name="rear_left_motor" joint="rear_left_spin"', 2),
        (' forcerange="-0.55 0.55"', "", 2),
    ],
    ids=["two on one joint", "a plain motor", "no force range"],
)
def test_unfit_actuators_are_replaced(
    old: str, new: str, num_replaced: int, tmp_path: Path
) -> None:
    """All of the motors, so that two are left, and the note says where it was lacking."""
    import mujoco

    vehicle, notes = adopt_shipped(tmp_path, (old, new))
    assert "rear_left_spin" in notes
    assert f"instead of {num_replaced} given" in notes
    assert mujoco.MjModel.from_xml_path(str(vehicle.file)).nu == 4
    mass, radius = vehicle.mass, vehicle.wheel_radius
    assert vehicle.max_drive_torque == pytest.approx(0.5 * mass * 9.81 / 4 * radius, rel=1e-5)
    assert vehicle.steering_gain == load_vehicle().steering_gain


def test_motors_stay_where_steering_servos_are_replaced(tmp_path: Path) -> None:
    """With what they reach: damping on a position servo is no reason to doubt them."""
    old = '<position name="front_left_servo"'
    shipped = load_vehicle()
    assert old in SHIPPED
    vehicle, notes = adopt_shipped(tmp_path, (old, f'{old} kv="0.1"'))
    assert "has kv, it feeds back the speed, too" in notes
    assert "instead of 2 given" in notes
    for name in ("drive_gains", "max_drive_torques", "max_wheel_speed"):
        assert getattr(vehicle, name) == getattr(shipped, name)


def test_a_servo_that_says_more_is_replaced_and_told(tmp_path: Path) -> None:
    """With what it says, and what else would never be commanded is left out."""
    changes = (
        (_MOTOR, f'{_MOTOR} gear="3"'),
        ("</actuator>", '<motor name="winch" joint="front_left_spin"/></actuator>'),
    )
    _, notes = adopt_shipped(tmp_path, *changes)
    assert "the actuator on 'rear_left_spin' has gear (3)" in notes
    assert "instead of 2 given" in notes
    assert "'winch' is left out" in notes


@pytest.mark.parametrize("name", ["car", "racer"])
def test_a_car_stays_driven_as_its_motors_say(name: str, tmp_path: Path) -> None:
    """By all wheels or by the rear ones."""
    shipped = load_vehicle(name)
    adopted = adopt_model(shipped.file, tmp_path)
    assert (adopted.drive, adopted.drive_gains) == (shipped.drive, shipped.drive_gains)


def test_a_range_that_is_cut_is_told(tmp_path: Path) -> None:
    """A joint that reaches further to one side is taken for what it reaches to the other."""
    text = urdf().replace('lower="-0.42" upper="0.42"', 'lower="-0.05" upper="0.4"')
    adopted = adopt_model(write(tmp_path, text), tmp_path)
    assert adopted.max_joint_angle == pytest.approx(0.05)
    notes = " ".join(adopted.assumptions)
    assert "-0.05 to 0.4 rad of the steering joint 'left_steering_hinge_joint'" in notes
    assert "taken for 0.05 rad to either side" in notes
    with pytest.raises(ModelError, match="no range about zero"):
        adopt_model(write(tmp_path, text.replace('"-0.05"', '"0.1"')), tmp_path)


def test_a_turned_base_is_adopted_as_the_same_car(tmp_path: Path) -> None:
    """Joints are ordered and axes pointed as the base sees them."""
    base, old_joint = '<body name="chassis" pos="0 0 0.0508">', '"front_left_spin" class="wheel"'
    changes = (
        (base, base.replace(">", ' euler="0 0 2.5">')),
        (old_joint, old_joint + ' axis="0 -1 0"'),
        ("_spin", "_wheel"),
    )
    vehicle, _ = adopt_shipped(tmp_path, *changes)
    assert vehicle.wheelbase == pytest.approx(0.3302)
    assert vehicle.track == pytest.approx(0.24)
    assert vehicle.centre_of_mass == pytest.approx(load_vehicle().centre_of_mass, abs=1e-6)


def test_an_assumed_mass_and_an_effort_are_read_of_a_urdf(tmp_path: Path) -> None:
    """What has no inertia weighs as water does; a joint's effort is a limit."""
    inertial = link("left_hinge", 0.1)
    hull = '<link name="left_hinge"><collision><origin xyz="0 0 0.1"/><geometry>'
    hull += '<box size="0.1 0.1 0.01"/></geometry></collision></link>'
    text = urdf().replace(inertial, hull).replace('effort="10"', 'effort="0.1"')
    vehicle = adopt_model(write(tmp_path, text), tmp_path)
    assert vehicle.max_drive_torque == pytest.approx(0.1)
    told = vehicle.assumptions[-1]
    assert "'left_hinge' has no mass of its own" in told


def test_missing_file_is_refused(tmp_path: Path) -> None:
    """Not a traceback of the parser."""
    with pytest.raises(ModelError, match="does not exist"):
        adopt_model(tmp_path / "nowhere.urdf", tmp_path)


_WHEELS = {
    "sphere": 'type="sphere" size="0.06"',
    "cylinder by its ends": 'type="cylinder" size="0.06" fromto="0 -0.02 0 0 0.02 0"',
    "turned cylinder": 'type="cylinder" size="0.06 0.02" euler="1.5707963 0 0"',
    "mesh": 'type="mesh" mesh="wheel_prism" euler="1.5707963 0 0"',
}


def car_on(wheel: str, folder: Path) -> Vehicle:
    """Return the shipped car on larger wheels, with a mesh of the name that diffcar would take."""
    angles = 2 * np.pi * np.arange(48) / 48
    rings = [
        0.06 * np.array([np.cos(angles), np.sin(angles), side + 0 * angles]) for side in (-0.5, 0.5)
    ]
    corners = " ".join(f"{value:.6f}" for ring in rings for value in ring.T.flatten())
    mesh = f'<asset><mesh name="wheel_prism" vertex="{corners}"/></asset><worldbody>'
    geom = f"<geom {_WHEELS[wheel]}"
    text = SHIPPED.replace("<worldbody>", mesh)
    for joint in ("front_left", "front_right", "rear_left", "rear_right"):
        text = text.replace(f'<geom name="{joint}_contact" class="wheel"/>', f"{geom} mass='0.1'/>")
    return load_vehicle(write(folder, text, "car.xml"), lenient=True)


@pytest.mark.parametrize("wheel", _WHEELS)
@pytest.mark.parametrize("shape", WHEEL_SHAPES)
def test_the_car_gets_other_wheels(shape: str, wheel: str, tmp_path: Path) -> None:
    """Same radius, other shape lying along the axle, everything else as it was."""
    import mujoco

    before = car_on(wheel, tmp_path)
    file = with_wheels(before, shape, tmp_path)
    after = load_vehicle(file, lenient=True)
    assert after.wheel_shape == shape
    assert after.wheel_radius == pytest.approx(before.wheel_radius, rel=0.03)
    assert (after.mass, after.friction) == pytest.approx((before.mass, before.friction))
    model = mujoco.MjModel.from_xml_path(str(file))
    pose = mujoco.MjData(model)
    mujoco.mj_forward(model, pose)
    wheels = [geom for geom in range(model.ngeom) if model.geom_contype[geom]]
    assert len(wheels) == 4
    for geom in wheels:
        if shape not in ("sphere", "mesh"):  # a mesh's frame is that of its own inertia
            assert abs(pose.geom_xmat[geom].reshape(3, 3)[1, 2]) == pytest.approx(1, abs=1e-6)


def test_a_model_that_cannot_get_other_wheels_is_an_error(tmp_path: Path) -> None:
    """Named, with a hint; it can neither be read as one."""
    vehicle = replace(load_vehicle(), file=write(tmp_path, SHIPPED, "car.txt"))
    with pytest.raises(ModelError, match=r"car.txt' cannot get wheels of shape box") as caught:
        with_wheels(vehicle, "box", tmp_path)
    assert "name the file .xml" in (caught.value.hint or "")
    with pytest.raises(ModelError, match="not a valid MJCF"):
        load_vehicle(vehicle.file)
