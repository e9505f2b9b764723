"""Films a scene without a display."""

import contextlib
import math
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import Tensor

from diffcar.base.files import write_atomically
from diffcar.sim.contract import CarState

if TYPE_CHECKING:
    from genesis import Scene

__all__ = ["ChaseCamera", "FixedCamera"]

_RESOLUTION = (640, 360)
_FRAMES_PER_SECOND = 25


class ChaseCamera:
    """A camera that follows the first car.

    Args:
        scene: A Genesis scene that is not built yet.
    """

    def __init__(self, scene: "Scene") -> None:
        self._scene = scene
        # Only a debug camera sees what is painted into the scene.
        self._camera: Any = scene.add_camera(res=_RESOLUTION, fov=45, GUI=False, debug=True)
        self._yaw: float | None = None
        self._unpainted: np.ndarray | None = None

    @contextlib.contextmanager
    def recording(self, dots: np.ndarray, file: Path) -> Iterator[None]:
        """Film every step inside the block; the file appears when it ends well.

        Args:
            dots: Painted on the road: world x, y [m], shape (N, 2).
            file: The mp4 to write.

        Raises:
            OutputError: If the file cannot be written.
        """
        self._unpainted = dots
        with _recording(self._camera, file):
            yield

    def follow(self, state: CarState) -> None:
        """Point the camera at the first car, for the frames to come."""
        if self._unpainted is not None:
            # Not earlier: the reset at a drive's start wipes what was painted before it.
            self._paint(self._unpainted)
            self._unpainted = None
        x, y = (float(value) for value in state.position[0])
        yaw = float(state.yaw[0])
        # The camera's heading lags behind the car's, so that turns are seen.
        turned = 0.0 if self._yaw is None else math.remainder(yaw - self._yaw, 2 * math.pi)
        self._yaw = yaw if self._yaw is None else self._yaw + 0.12 * turned
        cos, sin = math.cos(self._yaw), math.sin(self._yaw)
        self._camera.set_pose(
            pos=(x - 1.3 * cos, y - 1.3 * sin, 0.6),
            lookat=(x + 0.4 * cos, y + 0.4 * sin, 0.05),
            up=(0.0, 0.0, 1.0),
        )

    def _paint(self, dots: np.ndarray) -> None:
        """Put dots on the road."""
        positions = np.column_stack([dots, np.zeros(len(dots))])
        self._scene.draw_debug_spheres(positions, radius=0.012, color=(1.0, 0.8, 0.1, 1.0))


class FixedCamera:
    """A camera that stands in front of an arm, and marks where its hand should go.

    Args:
        scene: A Genesis scene that is not built yet.
    """

    def __init__(self, scene: "Scene") -> None:
        self._scene = scene
        self._camera: Any = scene.add_camera(
            res=_RESOLUTION,
            pos=(1.5, -1.1, 0.9),
            lookat=(0.3, 0.0, 0.4),
            fov=40,
            GUI=False,
            debug=True,
        )

    @contextlib.contextmanager
    def recording(self, file: Path) -> Iterator[None]:
        """Film every step inside the block; the file appears when it ends well.

        Args:
            file: The mp4 to write.

        Raises:
            OutputError: If the file cannot be written.
        """
        with _recording(self._camera, file):
            yield

    def mark(self, position: Tensor) -> None:
        """Paint a ball at a position [m], shape (3,), in place of what was painted before."""
        self._scene.clear_debug_objects()
        # Large enough to be seen around the hand whose middle it marks.
        self._scene.draw_debug_spheres(
            position[None].cpu().numpy(), radius=0.06, color=(1.0, 0.3, 0.1, 0.6)
        )


@contextlib.contextmanager
def _recording(camera: Any, file: Path) -> Iterator[None]:  # noqa: ANN401
    """Let a camera record inside the block; the file appears when it ends well."""
    partial = file.with_name(f".{file.stem}-partial{file.suffix}")
    try:
        camera.start_recording(str(partial), fps=_FRAMES_PER_SECOND)
        yield
        camera.stop_recording()
        write_atomically(file, partial.replace)
    finally:
        partial.unlink(missing_ok=True)
