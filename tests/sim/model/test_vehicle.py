"""The car's parameters come from its model; unusable models are refused."""

from pathlib import Path

import numpy as np
import pytest

from diffcar.base.errors import ModelError
from diffcar.base.files import resource_path
from diffcar.sim.model.vehicle import load_vehicle

SHIPPED = resource_path("assets/car.xml").read_text()


def altered(folder: Path, old: str, new: str) -> str:
    """Write the shipped model with one piece replaced and return its name."""
    assert old in SHIPPED
    file = folder / "car.xml"
    file.write_text(SHIPPED.replace(old, new))
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
    wide = load_vehicle(altered(tmp_path, "-0.1651 0.12 0", "-0.1651 0.15 0"))
    assert wide.track == pytest.approx(0.27)
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
    "backwards": (
        '<body name="chassis" pos="0 0 0.0508">',
        '<body name="chassis" pos="0 0 0.0508" euler="0 0 3.1416">',
        "not ahead",
    ),
    "one cylinder wheel": (
        '<geom name="front_left_contact" class="wheel"/>',
        '<geom name="front_left_contact" class="wheel" type="cylinder" size="0.0508 0.02"/>',
        "shape, radius and friction of the wheels must not differ",
    ),
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
        "cylinder": 'type="cylinder" size="0.0508 0.02"',
        "capsule": 'type="capsule" size="0.0508 0.02"',
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
