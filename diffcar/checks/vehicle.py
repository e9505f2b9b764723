"""What was read of a car, for people and for files."""

import math

from diffcar.base.table import Column, Table, across
from diffcar.sim.model.vehicle import Vehicle

__all__ = ["car_as_json", "car_table", "doubts_about"]

# Of cars that are built, with room to spare: the chassis's share of the mass, the front wheels' of
# the weight, the wheelbase [m], the mass over its cube [kg/m³], the inertia about the vertical over
# mass and wheelbase squared, and the least that steering [rad] and motors of a car as large as the
# shipped one [m/s] reach.
_CHASSIS_SHARE, _FRONT_LOADS, _WHEELBASES = 0.3, (0.25, 0.75), (0.05, 8.0)
_DENSITIES, _INERTIAS = (5.0, 1000.0), (0.02, 1.0)
_LEAST_STEERING, _LEAST_SPEED, _AS_LARGE = 0.05, 0.5, 0.33


def car_table(model: str, car: Vehicle) -> Table[Column[Vehicle]]:
    """Return a line for each quantity; angles, torques and speeds are the largest."""
    return across(f"{model}, as it was read", "quantity", _READ, {"value": car})


def car_as_json(car: Vehicle) -> dict[str, object]:
    """Return the same by the names that files give them."""
    return {str(own.key): own.of(car) for own in _READ if own.key}


def doubts_about(car: Vehicle) -> list[str]:
    """Return which figures no car has that is built: simulated as they are, but hardly meant."""
    doubts = []
    if car.chassis_mass < _CHASSIS_SHARE * car.mass:
        doubts.append(
            f"the chassis weighs {car.chassis_mass:.3g} of {car.mass:.3g} kg: give the base, or "
            "what is fixed to it, its mass and inertia (URDF: <inertial>)"
        )
    if not _FRONT_LOADS[0] <= car.front_load <= _FRONT_LOADS[1]:
        doubts.append(
            f"the front wheels carry {100 * car.front_load:.0f} % of the weight: is the centre of "
            "mass where it should be?"
        )
    if not _WHEELBASES[0] <= car.wheelbase <= _WHEELBASES[1]:
        doubts.append(f"the axles are {car.wheelbase:.3g} m apart: are lengths in metres?")
    elif not _DENSITIES[0] <= car.mass / car.wheelbase**3 <= _DENSITIES[1]:
        doubts.append(
            f"it weighs {car.mass:.4g} kg, with {car.wheelbase:.3g} m from axle to axle: are "
            "masses in kg?"
        )
    if not _INERTIAS[0] <= car.inertia[2] / car.mass / car.wheelbase**2 <= _INERTIAS[1]:
        doubts.append(
            f"it turns as if all of its {car.mass:.3g} kg were "
            f"{math.sqrt(car.inertia[2] / car.mass):.3g} m away: are inertias in kg m²?"
        )
    if car.max_joint_angle < _LEAST_STEERING:
        doubts.append(
            f"the wheels steer by {car.max_joint_angle:.3g} rad, "
            f"{math.degrees(car.max_joint_angle):.2g}°: are angles in the unit that the file has?"
        )
    if car.top_speed < _LEAST_SPEED * math.sqrt(car.wheelbase / _AS_LARGE):
        doubts.append(
            f"the motors reach {car.max_wheel_speed:.3g} rad/s, {car.top_speed:.3g} m/s: is that "
            "meant (URDF: velocity of the wheels' joints; MJCF: ctrlrange of their actuators)?"
        )
    return doubts


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
