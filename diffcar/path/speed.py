"""How fast a path can be driven within limits on acceleration."""

import numpy as np

from diffcar.path.grip import Limits

__all__ = ["speed_profile"]


def speed_profile(
    arc_length: np.ndarray,
    curvature: np.ndarray,
    limit: np.ndarray,
    limits: Limits,
    *,
    closed: bool,
) -> np.ndarray:
    """Return the fastest speeds within the limits, by a backward and a forward pass.

    Args:
        arc_length: Uniform grid [m], shape (N,); a loop's last point is its first.
        curvature: At the grid [1/m], shape (N,).
        limit: Upper bound on the speed [m/s], shape (N,).
        limits: Bounds on the accelerations.
        closed: Whether the profile is periodic.

    Returns:
        Speeds [m/s], shape (N,).

    Source:
        T. Lipp and S. Boyd, "Minimum-time speed optimisation over a fixed path", 2014, for the
        forward and backward passes as its special case of a point mass.
    """
    bend = np.abs(curvature)
    speed = np.minimum(limit, limits.cornering_speed(bend))
    step = float(arc_length[1] - arc_length[0])

    # A second round lets the limits of a loop's end act across its start.
    for _ in range(2 if closed else 1):
        speed = _reached(speed[::-1], bend[::-1], step, limits, braking=True)[::-1]
        if closed:
            speed[-1] = speed[0]
        speed = _reached(speed, bend, step, limits, braking=False)
        if closed:
            speed[0] = speed[-1] = min(speed[0], speed[-1])
    return speed


def _reached(
    limit: np.ndarray, bend: np.ndarray, step: float, limits: Limits, *, braking: bool
) -> np.ndarray:
    """Lower each speed to what can be reached from the one before it, which is lowered first.

    Braking is speeding up backwards.

    All at once, then again where the one before has changed: as often as a stretch has points on
    which a car does nothing but speed up.
    """
    speed = limit.copy()
    later = np.arange(1, len(speed))
    while later.size:
        # Not `**`: of arrays it rounds otherwise than of the numbers that runs were made with.
        before = np.float_power(speed[later - 1], 2)
        available = limits.along(before, bend[later - 1], braking=braking)
        lowered = np.minimum(limit[later], np.sqrt(before + 2 * available * step))
        has_changed = lowered != speed[later]
        speed[later] = lowered
        later = later[has_changed] + 1
        later = later[later < len(speed)]
    return speed
