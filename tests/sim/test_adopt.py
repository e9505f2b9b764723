"""Somebody else's car: found by name or by flag, freed, given servos, or refused with a reason."""

from pathlib import Path

import pytest

from diffcar.errors import ModelError
from diffcar.resources import resource_path
from diffcar.sim.adopt import adopt_model
from diffcar.sim.vehicle import load_vehicle
from diffcar.sim.wheels import WHEEL_SHAPES, with_wheels

_LINK = """<link name="{name}"><inertial><mass value="{mass}"/>
<inertia ixx="2e-4" iyy="2e-4" izz="2e-4" ixy="0" ixz="0" iyz="0"/></inertial>{collision}</link>"""
_TYRE = """<collision><geometry><cylinder radius="0.05" length="0.045"/></geometry></collision>"""
_JOINT = """<joint name="{name}" type="{kind}"><parent link="{parent}"/><child link="{child}"/>
<origin xyz="{place}" rpy="{turn}"/><axis xyz="0 0 {sign}"/>
<limit lower="-0.42" upper="0.42" effort="10" velocity="100"/></joint>"""


def urdf(wheel: str = "{side}_{end}_wheel_joint") -> str:
    """Return a car as many draw it: wheels about z turned over, the base at the ground."""
    parts = [_LINK.format(name="base_link", mass=3, collision="")]

    def add(link: str, collision: str, **joint: object) -> None:
        parts.append(_LINK.format(name=link, mass=0.1, collision=collision))
        parts.append(_JOINT.format(child=link, **joint))

    for side, y, sign in (("left", 0.1, -1), ("right", -0.1, 1)):
        add(
            f"{side}_hinge",
            "",
            name=f"{side}_steering_hinge_joint",
            kind="revolute",
            parent="base_link",
            place=f"0.16 {y} 0.05",
            turn="0 0 0",
            sign=1,
        )
        for end, parent, place in (
            ("front", f"{side}_hinge", "0 0 0"),
            ("rear", "base_link", f"-0.16 {y} 0.05"),
        ):
            add(
                f"{side}_{end}",
                _TYRE,
                name=wheel.format(side=side, end=end),
                kind="continuous",
                parent=parent,
                place=place,
                turn="1.5708 0 0",
                sign=sign,
            )
    return f'<robot name="racer">{"".join(parts)}</robot>'


def write(folder: Path, text: str, name: str = "racer.urdf") -> Path:
    file = folder / name
    file.write_text(text)
    return file


def test_urdf_becomes_a_car(tmp_path: Path) -> None:
    """Joints by name, a free base, servos that are said to be assumed, axes all one way."""
    adopted = adopt_model(write(tmp_path, urdf()), tmp_path)
    vehicle = load_vehicle(adopted.file)
    assert vehicle.wheelbase == pytest.approx(0.32)
    assert vehicle.track == pytest.approx(0.2)
    assert vehicle.wheel_shape == "cylinder"
    assert vehicle.max_joint_angle == pytest.approx(0.42)
    notes = " ".join(adopted.notes)
    assert "free now" in notes
    assert "no servos" in notes


def test_wheels_turn_forward_on_either_side(tmp_path: Path) -> None:
    """Axes that point outward on both sides are turned to the left."""
    import mujoco

    model = mujoco.MjModel.from_xml_path(str(adopt_model(write(tmp_path, urdf()), tmp_path).file))
    pose = mujoco.MjData(model)
    mujoco.mj_forward(model, pose)
    for name in ("rear_left_spin", "rear_right_spin"):
        assert pose.xaxis[model.joint(name).id][1] == pytest.approx(1.0, abs=1e-4)


def test_joints_can_be_named(tmp_path: Path) -> None:
    """Names that say nothing are an error that lists the hinges, and flags that mend it."""
    file = write(tmp_path, urdf(wheel="j_{side}_{end}"))
    with pytest.raises(ModelError, match="0 wheel joints") as caught:
        adopt_model(file, tmp_path)
    assert "j_left_front" in (caught.value.hint or "")
    names = ("j_right_rear", "j_left_rear", "j_left_front", "j_right_front")
    adopted = adopt_model(file, tmp_path, wheel_joints=names)
    assert load_vehicle(adopted.file).wheelbase == pytest.approx(0.32)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("<robot", "cannot be read as a car"),
        ("<mujoco><worldbody/></mujoco>", "world holds 0"),
        (urdf().replace("steering_hinge", "turning"), "0 steering joints"),
        (urdf().replace("<axis xyz='0 0 1'/>", ""), ""),
    ],
)
def test_what_is_no_car_is_refused(text: str, message: str, tmp_path: Path) -> None:
    """With the reason; the last row is the car itself, which is accepted."""
    file = write(tmp_path, text, "model.xml" if text.startswith("<mujoco") else "model.urdf")
    if not message:
        adopt_model(file, tmp_path)
        return
    with pytest.raises(ModelError, match=message):
        adopt_model(file, tmp_path)


def test_missing_file_is_refused(tmp_path: Path) -> None:
    """Not a traceback of the parser."""
    with pytest.raises(ModelError, match="does not exist"):
        adopt_model(tmp_path / "nowhere.urdf", tmp_path)


@pytest.mark.parametrize("shape", WHEEL_SHAPES)
def test_the_car_gets_other_wheels(shape: str, tmp_path: Path) -> None:
    """Same radius, other shape, everything else as it was."""
    file = with_wheels(resource_path("assets/car.xml"), shape, tmp_path)
    vehicle, shipped = load_vehicle(file, lenient=True), load_vehicle()
    assert vehicle.wheel_shape == shape
    assert vehicle.wheel_radius == pytest.approx(shipped.wheel_radius, rel=0.03)
    assert (vehicle.mass, vehicle.drive_gain) == pytest.approx((shipped.mass, shipped.drive_gain))
