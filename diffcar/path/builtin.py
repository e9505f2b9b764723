"""Paths that need no file, as points in driving order, scaled to a 1:10 car."""

from dataclasses import dataclass, replace

import numpy as np
from scipy.integrate import cumulative_trapezoid
from scipy.interpolate import CubicSpline
from scipy.ndimage import gaussian_filter1d

__all__ = [
    "Points",
    "circle",
    "double_lane_change",
    "figure_eight",
    "line",
    "obstacle_avoidance",
    "random",
    "sine",
    "slalom",
    "stage",
]

_SCALE = 0.1
_PASSENGER_CAR_WIDTH = 1.8
_SPACING = 0.02


@dataclass(frozen=True)
class Points:
    """A path before it is a spline."""

    xy: np.ndarray
    """World coordinates in driving order [m], shape (N, 2); a loop does not repeat its start."""
    closed: bool
    """Whether the last point joins the first."""
    speed: np.ndarray | None = None
    """Speeds that came with the points [m/s], shape (N,), positive."""
    columns: tuple[str, ...] = ()
    """What the columns of a file were read as, one by one; nothing where there is no file."""
    notes: tuple[str, ...] = ()
    """What the user should know of how they came about."""
    geographic_origin: tuple[float, float] | None = None
    """Latitude and longitude of the origin [degrees], where they were projected."""

    def around(self, values: np.ndarray, num_more: int = 1) -> np.ndarray:
        """Return values at the points, of a loop with the first ones again at the end."""
        return np.concatenate([values, values[:num_more]]) if self.closed else values

    def select(self, which: slice | np.ndarray) -> "Points":
        """Return some of the points with their speeds, by a mask or a slice."""
        speed = None if self.speed is None else self.speed[which]
        return replace(self, xy=self.xy[which], speed=speed)


def line(seed: int) -> Points:
    """Straight ahead for 20 m."""
    x = np.linspace(0.0, 20.0, 201)
    return Points(np.stack([x, np.zeros_like(x)], 1), closed=False)


def circle(seed: int) -> Points:
    """Left turns of 2 m radius."""
    angle = np.linspace(0, 2 * np.pi, 400, endpoint=False)
    return Points(2.0 * np.stack([np.sin(angle), 1 - np.cos(angle)], 1), closed=True)


def sine(seed: int) -> Points:
    """Six waves of 5 m length and 0.5 m amplitude."""
    x = np.arange(0.0, 30.0 + _SPACING / 2, _SPACING)
    return Points(np.stack([x, 0.5 * np.sin(2 * np.pi * x / 5.0)], 1), closed=False)


def figure_eight(seed: int) -> Points:
    """Gerono's lemniscate, 8 m by 4 m."""
    u = np.linspace(0, 2 * np.pi, 800, endpoint=False)
    return Points(np.stack([4.0 * np.sin(u), 4.0 * np.sin(u) * np.cos(u)], 1), closed=True)


def slalom(seed: int) -> Points:
    """Ten cones 1.8 m apart, passed at 0.25 m, with a straight before and after."""
    spacing, num_cones, amplitude, lead = 1.8, 10, 0.25, 2.0
    x = np.arange(0.0, 2 * lead + spacing * num_cones, _SPACING)
    along = np.clip((x - lead) / (spacing * num_cones), 0, 1)
    # The amplitude grows and shrinks over the first and last cone, so the straights join smoothly.
    envelope = _smooth_step(along * num_cones) * _smooth_step((1 - along) * num_cones)
    y = amplitude * envelope * np.sin(np.pi * along * num_cones)
    return Points(np.stack([x, y], 1), closed=False)


def double_lane_change(seed: int) -> Points:
    """Swerve by 3.5 m and back: the lanes of ISO 3888-1 (15, 30, 25, 25, 15, 15 m) at 1:10."""
    return _lane_change(lane=15.0, over=30.0, beside=25.0, back=25.0, exit_lane=30.0, offset=3.5)


def obstacle_avoidance(seed: int) -> Points:
    """Swerve as in ISO 3888-2 (12, 13.5, 11, 12.5, 12 m) for a car 1.8 m wide, at 1:10.

    The lanes are 1.1 w + 0.25 m and w + 1 m wide and lie 1 m apart; the path follows their middles.
    """
    first, second = 1.1 * _PASSENGER_CAR_WIDTH + 0.25, _PASSENGER_CAR_WIDTH + 1.0
    offset = first / 2 + 1.0 + second / 2
    return _lane_change(lane=12.0, over=13.5, beside=11.0, back=12.5, exit_lane=12.0, offset=offset)


def random(seed: int) -> Points:
    """A 240 m road of straights, bends and chicanes up to 1.25 1/m, drawn by seed."""
    generator = np.random.default_rng(seed)
    length, knot_spacing, sharpest = 240.0, 0.9, 1.25
    num_knots = int(length / knot_spacing) + 2
    # A third of the knots are straight and of the rest more are gentle than sharp, as on roads.
    curvature = generator.uniform(-sharpest, sharpest, num_knots)
    curvature *= generator.uniform(size=num_knots) ** 0.7
    curvature[generator.uniform(size=num_knots) < 0.33] = 0.0
    curvature[:3] = 0.0
    arc_length = np.arange(0.0, length, _SPACING)
    spline = CubicSpline(np.arange(num_knots) * knot_spacing, curvature)
    return _winding(arc_length, spline.antiderivative()(arc_length))


def stage(seed: int) -> Points:
    """A rally stage at 1:10 of 32 corners, hairpins of 0.9 m to sweeps of 9 m, drawn by seed.

    Between them straights from 0.3 to 75 m, long enough for a car to stay at its top speed: who has
    not driven there oscillates.
    """
    generator = np.random.default_rng(seed)
    num_corners = 32
    radius = 0.9 * 10 ** generator.uniform(0.0, 1.0, num_corners)
    turn = generator.uniform(0.3, 2.8, num_corners) * generator.choice([-1, 1], num_corners)
    straight = 0.3 * 250 ** generator.uniform(0.0, 1.0, num_corners)
    pieces = np.stack([straight, radius * np.abs(turn)], 1).ravel()
    curvature = np.stack([np.zeros(num_corners), np.sign(turn) / radius], 1).ravel()
    curvature = np.repeat(curvature, np.round(pieces / _SPACING).astype(int))
    # A corner is entered over about a metre, as by a steering wheel that turns evenly.
    curvature = gaussian_filter1d(curvature, 0.3 / _SPACING)
    arc_length = np.arange(len(curvature)) * _SPACING
    return _winding(arc_length, cumulative_trapezoid(curvature, arc_length, initial=0.0))


def _winding(arc_length: np.ndarray, heading: np.ndarray) -> Points:
    """Lay out an open road by its heading [rad] over arc length [m]."""
    direction = np.stack([np.cos(heading), np.sin(heading)], 1)
    return Points(cumulative_trapezoid(direction, arc_length, axis=0, initial=0.0), closed=False)


def _lane_change(
    *, lane: float, over: float, beside: float, back: float, exit_lane: float, offset: float
) -> Points:
    """Join lanes [m, full scale] by quintic transitions and scale the whole."""
    lead = 10.0
    x = np.arange(0.0, (2 * lead + lane + over + beside + back + exit_lane) * _SCALE, _SPACING)
    full = x / _SCALE - lead
    y = offset * (
        _smooth_step((full - lane) / over) - _smooth_step((full - lane - over - beside) / back)
    )
    return Points(np.stack([x, y * _SCALE], 1), closed=False)


def _smooth_step(u: np.ndarray) -> np.ndarray:
    """Rise from 0 to 1 over [0, 1] with vanishing first and second derivative at both ends."""
    u = np.clip(u, 0, 1)
    return u**3 * (10 - 15 * u + 6 * u**2)
