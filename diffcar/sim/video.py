"""Films a scene without a display."""

import contextlib
import math
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import Tensor

from diffcar.base.errors import OutputError, SimulationError
from diffcar.base.files import write_atomically
from diffcar.sim.backend import translated_errors
from diffcar.sim.contract import CarState

if TYPE_CHECKING:
    from genesis import Scene

__all__ = ["ChaseCamera", "FixedCamera"]

_RESOLUTION = (640, 360)
_FRAMES_PER_SECOND = 25


class _Camera:
    """Films a Genesis scene that is not yet built."""

    def __init__(self, scene: "Scene", **pose: object) -> None:
        self._scene = scene
        # Only a debug camera sees what is painted into the scene.
        self._camera: Any = scene.add_camera(res=_RESOLUTION, GUI=False, debug=True, **pose)

    @contextlib.contextmanager
    def recording(self, file: Path) -> Iterator[None]:
        """Film every step inside the block; the mp4 file appears when it ends well.

        Raises:
            OutputError: If the file cannot be written.
        """
        # Not named after the file, whose name may be as long as one can be.
        partial = file.with_name(f".diffcar-{os.getpid()}-partial.mp4")

        def end(target: Path) -> None:
            try:
                with translated_errors():
                    self._camera.stop_recording()
            except SimulationError as error:  # of the encoder, for whatever reason
                raise OSError(error.message) from None
            partial.replace(target)

        try:
            try:
                self._camera.start_recording(str(partial), fps=_FRAMES_PER_SECOND)
            except OSError as error:
                reason = error.strerror or error
                raise OutputError(f"{str(file)!r} cannot be written: {reason}") from None
            yield
            write_atomically(file, end)
        finally:
            partial.unlink(missing_ok=True)


class ChaseCamera(_Camera):
    """A camera that follows the first car, whose `Vehicle.size` tells from how far."""

    def __init__(self, scene: "Scene", size: float) -> None:
        super().__init__(scene, fov=45)
        self._size = size
        self._yaw: float | None = None

    def follow(self, state: CarState) -> None:
        """Point the camera at the first car, for the frames to come."""
        x, y = (float(value) for value in state.position[0])
        yaw = float(state.yaw[0])
        # The camera's heading lags behind the car's, so that turns are seen.
        turned = 0.0 if self._yaw is None else math.remainder(yaw - self._yaw, 2 * math.pi)
        self._yaw = yaw if self._yaw is None else self._yaw + 0.12 * turned
        cos, sin = math.cos(self._yaw), math.sin(self._yaw)
        back, on = 1.3 * self._size, 0.4 * self._size
        behind = (x - back * cos, y - back * sin, 0.6 * self._size)
        ahead = (x + on * cos, y + on * sin, 0.05 * self._size)
        self._camera.set_pose(pos=behind, lookat=ahead, up=(0.0, 0.0, 1.0))


class FixedCamera(_Camera):
    """A camera that stands in front of an arm, and marks where its hand should go."""

    def __init__(self, scene: "Scene") -> None:
        super().__init__(scene, pos=(1.5, -1.1, 0.9), lookat=(0.3, 0.0, 0.4), fov=40)

    def mark(self, position: Tensor) -> None:
        """Paint a ball at a position [m], shape (3,), in place of what was painted before."""
        self._scene.clear_debug_objects()
        # Large enough to be seen around the hand whose middle it marks.
        self._scene.draw_debug_spheres(
            position[None].cpu().numpy(), radius=0.06, color=(1.0, 0.3, 0.1, 0.6)
        )
