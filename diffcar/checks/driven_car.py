"""`diffcar check-car`: what a car is, and whether it drives as its figures say."""

import math
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch

from diffcar.base.errors import SimulationError
from diffcar.base.figure import FAINT, INK, calm, new_figure, plain, save_png
from diffcar.base.files import Unwritten, kept
from diffcar.base.log import logger
from diffcar.base.table import Column, Line, Mark, Shown, Table, number
from diffcar.checks import car as certified_car
from diffcar.checks.car_result import CheckGradResult, verdict_lines
from diffcar.checks.config import CertificateConfig, CheckCarConfig, CheckGradConfig
from diffcar.checks.vehicle import car_as_json, car_table
from diffcar.sim.build import build_scene
from diffcar.sim.contract import CarScene, Placement
from diffcar.sim.model.doubts import doubts_about
from diffcar.sim.model.outline import Outline, outline_of
from diffcar.sim.model.read import car_of
from diffcar.sim.model.rules import GRAVITY
from diffcar.sim.model.vehicle import Vehicle

__all__ = ["CheckCarResult", "Driven", "car_check_report", "run"]

_TURN_TIME, _TURN_ACCELERATION, _TURN_SHARE = 4.0, 1.0, 0.5
_PUSH_TIME, _BRAKE_SPEED = 0.4, 2.0
# Tyres slip and wheels have an inertia; those that spin or lock hold far less than they could.
_ALIKE, _AT_MOST, _SLIPPING = (0.98, 1.02), (0.4, 1.05), (0.2, 1.05)


@dataclass(frozen=True)
class Driven:
    """One figure of a drive against what the model's figures make of it."""

    name: str
    """What people read."""
    unit: str
    """Of both figures."""
    measured: float
    """In the drive."""
    expected: float
    """By the model's figures: what it should be, or could be at the most."""
    shares: tuple[float, float]
    """Of the expected: the least and the most that is right."""
    key: str
    """Its name in JSON."""

    @property
    def is_right(self) -> bool:
        """Return whether they agree."""
        least, most = self.shares
        return least * self.expected <= self.measured <= most * self.expected


@dataclass
class CheckCarResult:
    """What was found of a car."""

    model: str
    """Its file, or its name if it comes with diffcar."""
    vehicle: Vehicle
    """The car as it was read."""
    driven: list[Driven]
    """What it did on the road."""
    certificate: CheckGradResult | None = None
    """Of its gradient, where that was asked for."""
    unwritten: Unwritten = field(default_factory=dict)
    """Files that could not be written, and why."""

    @property
    def is_right(self) -> bool:
        """Return whether it drives as it should, with a right gradient where that was checked."""
        is_certified = self.certificate is None or self.certificate.certified
        return is_certified and all(own.is_right for own in self.driven)

    def as_json(self) -> dict[str, object]:
        """Return every figure, as JSON holds it."""
        certificate = self.certificate
        return {
            "model": self.model,
            "vehicle": car_as_json(self.vehicle),
            "notes": list(self.vehicle.assumptions),
            "doubts": doubts_about(self.vehicle),
            "driven": {
                own.key: {"measured": own.measured, "expected": own.expected, "right": own.is_right}
                for own in self.driven
            },
            "certified": certificate and certificate.certified,
            "worst_relative_error": certificate and certificate.certificate.worst_relative_error,
            "failures": certificate.failures if certificate else [],
            "hint": certificate and certificate.hint,
            "right": self.is_right,
        }


def run(config: CheckCarConfig, *, plot_file: Path | None = None) -> CheckCarResult:
    """Read a car, drive it in MuJoCo, and certify its gradient where that is asked for.

    Args:
        plot_file: For a PNG of it from above and from the side.

    Raises:
        DiffcarError: If the model is unusable.
    """
    vehicle = car_of(config)
    unwritten: Unwritten = {}
    if plot_file is not None:
        with kept(unwritten, plot_file):
            _plot(outline_of(vehicle), vehicle, config.model or "car", plot_file)
    scene = build_scene(config, num_envs=3, engine="mujoco", vehicle=vehicle)
    try:
        driven = _drive_in_a_circle_and_straight(scene)
    except SimulationError as error:
        doubts = (
            "; ".join(doubts_about(vehicle)) or "its servos may lack damping (MJCF: of the joint)"
        )
        raise SimulationError(
            f"{config.model or 'car'!r} cannot be driven: {error.message}", doubts
        ) from None
    result = CheckCarResult(config.model or "car", vehicle, driven)
    result.unwritten = unwritten
    if config.certify:
        # What nobody has set follows from the car there, too.
        own = config.model_dump(exclude={"certify"}, exclude_unset=True)
        horizons = CertificateConfig(horizons=[1, 10, 100])
        wanted = CheckGradConfig.model_validate({**own, "certificate": horizons})
        result.certificate = certified_car.run(wanted)
    return result


def _drive_in_a_circle_and_straight(scene: CarScene) -> list[Driven]:
    """Drive three cars: one in a circle, one that speeds up from rest, one that brakes.

    The circle's radius is that of the rear axle's middle, the wheelbase over the tangent of the
    steering angle where no wheel slips; the others change their speed no faster than motors, or
    the grip of the driven wheels, can make them. Times and speeds grow with the car's size.
    """
    logger.info("driving a circle, speeding up and braking in MuJoCo")
    vehicle = scene.vehicle
    steering = _TURN_SHARE * vehicle.max_steering
    radius = vehicle.wheelbase / math.tan(steering)
    turning = min(math.sqrt(_TURN_ACCELERATION * radius), 0.5 * vehicle.top_speed)
    braking = min(_BRAKE_SPEED * vehicle.root_size, 0.5 * vehicle.top_speed)
    zeros = torch.zeros(3, dtype=scene.dtype)
    speed = torch.tensor([turning, 0.0, braking], dtype=scene.dtype)
    scene.reset(Placement(torch.zeros(3, 2, dtype=scene.dtype), zeros, speed, zeros))
    steer = torch.tensor([steering, 0.0, 0.0], dtype=scene.dtype)
    at = [scene.read().speed]
    pushes = max(4, round(_PUSH_TIME * vehicle.root_size / scene.dt))
    for _ in range(max(pushes, round(_TURN_TIME * vehicle.root_size / scene.dt))):
        present, most = scene.read().speed, vehicle.speed_increment
        wanted = torch.stack([speed[0], present[1] + most, (present[2] - most).clamp_min(0)])
        scene.apply(torch.stack([steer, wanted], -1))
        scene.step()
        at.append(scene.read().speed)
    state, speeds = scene.read(), torch.stack(at).double()
    faster = float(speeds[pushes, 1] - speeds[1, 1]) / ((pushes - 1) * scene.dt)
    slower = float(speeds[1, 2] - speeds[pushes // 2, 2]) / ((pushes // 2 - 1) * scene.dt)
    found = float(state.speed[0] / state.yaw_rate[0])
    # No car changes its speed by more than there is between rest and what it reaches.
    gain = (vehicle.top_speed - float(speeds[1, 1])) / ((pushes - 1) * scene.dt)
    loss = braking / ((pushes // 2 - 1) * scene.dt)
    ahead, back = _most(vehicle, gain), _most(vehicle, loss, is_braking=True)
    return [
        Driven("radius of a circle", "m", found, radius, _ALIKE, "circle_radius_m"),
        Driven("speeding up", "m/s²", faster, *ahead, "acceleration_mps2"),
        Driven("braking", "m/s²", slower, *back, "braking_mps2"),
    ]


def _most(
    car: Vehicle, change: float, *, is_braking: bool = False
) -> tuple[float, tuple[float, float]]:
    """Return the most that motors, or driven wheels' grip, give [m/s²], and the right shares.

    Args:
        change: What is left to speed up or to brake by, over the time that is measured [m/s²].
    """
    motors = min(change, sum(car.max_drive_torques) / car.wheel_radius / car.mass)
    load, leaning = car.driven_load, car.friction * car.height / car.wheelbase
    if (car.drive == "front") == is_braking:  # the car leans onto them instead of off them
        load = min(1.0, load * (1 + leaning) / (1 - leaning)) if leaning < 1 else 1.0
    grip = GRAVITY * car.friction * load
    return (motors, _AT_MOST) if motors < grip else (grip, _SLIPPING)


def car_check_report(result: CheckCarResult) -> list[Shown]:
    """Return the car, what it did on the road, the verdict and how to go on."""
    columns: list[Column[Driven]] = [
        Column("driven in MuJoCo", lambda own: own.name),
        Column("measured", lambda own: own.measured),
        Column(
            "by its figures",
            lambda own: own.expected,
            words=lambda own: f"{'' if own.shares == _ALIKE else '< '}{number(own.expected)}",
        ),
        Column("unit", lambda own: own.unit),
        Column(
            "verdict",
            lambda own: "right" if own.is_right else "differs",
            mark=lambda own: Mark.GOOD if own.is_right else Mark.BAD,
        ),
    ]
    shown: list[Shown] = [
        car_table(result.model, result.vehicle),
        Table("does it drive as its figures say?", columns, result.driven),
    ]
    if (found := result.certificate) is not None:
        worst = number(found.certificate.worst_relative_error)
        told = f"worst relative error of the gradient over 1, 10 and 100 steps {worst}"
        shown += verdict_lines(found, told)
    doubts = doubts_about(result.vehicle)
    shown += [Line(f"doubtful: {text}", "doubtful", Mark.DOUBTFUL) for text in doubts]
    if not result.is_right:
        shown.append(Line(word := "not as it should be", word, Mark.BAD))
        is_turned = all(own.is_right for own in result.driven if own.key == "circle_radius_m")
        if not is_turned and result.vehicle.wheel_shape != "sphere":
            shown.append(
                f"hint: a {result.vehicle.wheel_shape} is turned against the friction of its whole "
                "width: a stronger steering servo may do it, or --wheels spheres"
            )
        elif not doubts:
            shown.append(
                "hint: masses and inertias, those of the wheels, too, decide how it speeds up, "
                "places and angles how it turns: is any of the above not the car's?"
            )
        return shown
    word = "it drives as its figures say; are those in doubt meant?" if doubts else "good to train"
    how = Line(f"train on it: diffcar train-e2e --car {result.model}")
    return [*shown, Line(word, word, Mark.DOUBTFUL if doubts else Mark.GOOD), how]


def _plot(outline: Outline, vehicle: Vehicle, name: str, file: Path) -> None:
    """Draw a car from above and from the side, with its joints."""
    from matplotlib.patches import Polygon
    from scipy.spatial import ConvexHull, QhullError

    figure = new_figure(9, 7)
    # Both alike large: each as high as what it shows.
    points = np.concatenate([shape.points for shape in outline.shapes])
    heights = {"height_ratios": list(np.ptp(points, axis=0)[1:])}
    rows = figure.subplots(2, 1, sharex=True, gridspec_kw=heights)
    for axes, title, up in zip(rows, ("from above", "from the side"), (1, 2), strict=True):
        calm(axes)
        for shape in outline.shapes:
            flat = shape.points[:, [0, up]]
            try:
                edge = flat[ConvexHull(flat).vertices]
            except (QhullError, ValueError):  # as thin as a line
                continue
            how = {"facecolor": "none" if shape.collides else "#8893a033", "edgecolor": FAINT}
            how |= {"edgecolor": "tab:red"} if shape.collides else {}
            axes.add_patch(Polygon(edge, **how))  # type: ignore[arg-type]
        for joint, place in outline.joints.items():
            is_driven, steers = joint in vehicle.driven_joints, joint in vehicle.steering_joints
            marker = "^" if steers else "o"
            colour = "tab:blue" if steers else "tab:green" if is_driven else INK
            axes.plot(place[0], place[up], marker, color=colour, markersize=9 if steers else 6)
        axes.plot(0, 0, "+", color=INK, markersize=12)
        centre = vehicle.centre_of_mass
        axes.plot(centre[0], centre[up], "D", color="tab:orange", markersize=6)
        if up == 2:
            axes.axhline(-vehicle.base_height, color=FAINT)
        axes.set(title=title, aspect="equal", ylabel=f"{'xyz'[up]} [m]")
        axes.autoscale_view()
    rows[1].set_xlabel("ahead [m]")
    told = "steering (triangles), driven wheels (green), what collides (red), base (+)"
    title = f"{Path(name).name}\n{told}, centre of mass (diamond)"
    figure.suptitle(plain(title), fontsize=10)
    save_png(figure, file)
