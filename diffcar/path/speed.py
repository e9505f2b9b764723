"""How fast a path can be driven within limits on acceleration."""

import numpy as np

from diffcar.path.config import PathConfig

__all__ = ["speed_profile"]


def speed_profile(
    arc_length: np.ndarray,
    curvature: np.ndarray,
    limit: np.ndarray,
    config: PathConfig,
    *,
    closed: bool,
) -> np.ndarray:
    """Return the fastest speeds within the limits, by a backward and a forward pass.

    What lateral acceleration leaves of the friction ellipse is available along the path.

    Args:
        arc_length: Uniform grid [m], shape (N,); a loop's last point is its first.
        curvature: At the grid [1/m], shape (N,).
        limit: Upper bound on the speed [m/s], shape (N,).
        config: Bounds on the accelerations; that along the path holds where it is straight.
        closed: Whether the profile is periodic.

    Returns:
        Speeds [m/s], shape (N,).

    Source:
        T. Lipp and S. Boyd, "Minimum-time speed optimisation over a fixed path", 2014, for the
        forward and backward passes as its special case of a point mass.
    """
    bend = np.abs(curvature)
    speed = np.minimum(limit, np.sqrt(config.lateral_acceleration / np.maximum(bend, 1e-9)))
    step = float(arc_length[1] - arc_length[0])

    def reach(index: int, neighbour: int) -> None:
        """Lower the speed at `index` to what can be reached from its neighbour."""
        used = min(speed[neighbour] ** 2 * bend[neighbour] / config.lateral_acceleration, 1.0)
        available = config.longitudinal_acceleration * np.sqrt(1.0 - used**2)
        speed[index] = min(speed[index], np.sqrt(speed[neighbour] ** 2 + 2 * available * step))

    # A second round lets the limits of a loop's end act across its start.
    for _ in range(2 if closed else 1):
        for index in range(len(speed) - 2, -1, -1):
            reach(index, index + 1)
        if closed:
            speed[-1] = speed[0]
        for index in range(1, len(speed)):
            reach(index, index - 1)
        if closed:
            speed[0] = speed[-1] = min(speed[0], speed[-1])
    return speed
