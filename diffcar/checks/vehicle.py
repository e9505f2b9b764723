"""What was read of a car, for people and for files."""

from diffcar.base.table import Column, Table, across
from diffcar.sim.model.vehicle import Vehicle

__all__ = ["car_as_json", "car_table"]


def car_table(model: str, car: Vehicle) -> Table[Column[Vehicle]]:
    """Return a line for each quantity; angles, torques and speeds are the largest."""
    return across(f"{model}, as it was read", "quantity", _READ, {"value": car})


def car_as_json(car: Vehicle) -> dict[str, object]:
    """Return the same by the names that files give them."""
    return {str(own.key): own.of(car) for own in _READ if own.key}


def _coordinates(values: tuple[float, float, float]) -> str:
    """Return three coordinates as people read them."""
    return ", ".join(f"{round(value, 9):.3g}" for value in values)  # no rounding of zero


_READ: list[Column[Vehicle]] = [
    Column("mass", lambda car: car.mass, "kg", key="mass_kg"),
    Column(
        "mass of the chassis, without wheels",
        lambda car: car.chassis_mass,
        "kg",
        key="chassis_mass_kg",
    ),
    Column("share of the weight in front", lambda car: car.front_load, key="front_load"),
    Column(
        "inertia about x, y, z",
        lambda car: car.inertia,
        "kg m²",
        key="inertia_kgm2",
        words=lambda car: _coordinates(car.inertia),
    ),
    Column(
        "centre of mass from the base, x, y, z",
        lambda car: car.centre_of_mass,
        "m",
        key="centre_of_mass_m",
        words=lambda car: _coordinates(car.centre_of_mass),
    ),
    Column("height of the base", lambda car: car.base_height, "m", key="base_height_m"),
    Column("wheelbase", lambda car: car.wheelbase, "m", key="wheelbase_m"),
    Column("track", lambda car: car.track, "m", key="track_m"),
    Column("rear axle from the base, x", lambda car: car.rear_axle_x, "m", key="rear_axle_x_m"),
    Column("wheels", lambda car: car.wheel_shape),
    Column("radius of the wheels", lambda car: car.wheel_radius, "m", key="wheel_radius_m"),
    Column(
        "inertia of a wheel about its axle",
        lambda car: car.wheel_inertia,
        "kg m²",
        key="wheel_inertia_kgm2",
    ),
    Column("friction", lambda car: car.friction, key="friction"),
    Column("angle of a wheel", lambda car: car.max_joint_angle, "rad", key="max_joint_angle_rad"),
    Column(
        "steering angle, that of a bicycle",
        lambda car: car.max_steering,
        "rad",
        key="max_steering_rad",
    ),
    Column("steering servo", lambda car: car.steering_gain, "N m/rad", key="steering_gain"),
    Column(
        "steering torque", lambda car: car.max_steering_torque, "N m", key="max_steering_torque_nm"
    ),
    Column("driven wheels", lambda car: car.drive, key="drive"),
    Column("front wheels' share of the torque", lambda car: car.torque_split, key="torque_split"),
    Column("motor", lambda car: car.drive_gain, "N m s/rad", key="drive_gain"),
    Column("motor torque", lambda car: car.max_drive_torque, "N m", key="max_drive_torque_nm"),
    Column("wheel speed", lambda car: car.max_wheel_speed, "rad/s", key="max_wheel_speed_radps"),
]
