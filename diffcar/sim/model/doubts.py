"""Which figures of a car are hardly meant."""

import math

from diffcar.sim.model.vehicle import Vehicle

__all__ = ["doubts_about", "notes_of"]

# Of cars that are built, with room to spare: the chassis's share of the mass, the front wheels' of
# the weight, the wheelbase [m], the mass over its cube [kg/m³], the inertia about the vertical over
# mass and wheelbase squared, the height of the centre of mass over the wheelbase, what the wheels
# feel like to the motors over the mass, and the least that steering [rad] and motors of a car as
# large as the shipped one [m/s] reach.
_CHASSIS_SHARE, _FRONT_LOADS, _WHEELBASES = 0.3, (0.25, 0.75), (0.05, 8.0)
_DENSITIES, _INERTIAS, _HIGHEST, _WHEEL_SHARE = (5.0, 1000.0), (0.02, 1.0), 1.0, 1.0
_LEAST_STEERING, _LEAST_SPEED, _AS_LARGE = 0.05, 0.5, 0.33


def notes_of(car: Vehicle) -> tuple[str, ...]:
    """Return what whoever drives a car should know: what was assumed of it, and what is doubted."""
    return (*car.assumptions, *(f"doubtful: {doubt}" for doubt in doubts_about(car)))


def doubts_about(car: Vehicle) -> list[str]:
    """Return which figures no car has that is built: simulated as they are, but hardly meant."""
    doubts = []
    if car.chassis_mass < _CHASSIS_SHARE * car.mass:
        doubts.append(
            f"the chassis weighs {car.chassis_mass:.3g} of {car.mass:.3g} kg, the wheels "
            "the rest: has the base, or what is fixed to it, its mass (URDF: <inertial>)?"
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
    if not 0 < car.height < _HIGHEST * car.wheelbase:
        doubts.append(
            f"the centre of mass lies {car.height:.3g} m over the road: is it where it should be?"
        )
    if (apparent := 4 * car.wheel_inertia / car.wheel_radius**2) > _WHEEL_SHARE * car.mass:
        doubts.append(
            f"the wheels turn as heavily as if {apparent:.3g} kg were to be moved, beside "
            f"{car.mass:.3g}: are their inertias in kg m²?"
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
