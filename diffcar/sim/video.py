"""Films a scene without a display."""

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from diffcar.errors import OutputError
from diffcar.files import write_atomically
from diffcar.path import ReferencePath
from diffcar.sim.contract import CarState

if TYPE_CHECKING:
    from genesis import Scene

__all__ = ["ChaseCamera"]

_RESOLUTION = (640, 360)
_FRAMES_PER_SECOND = 25


class ChaseCamera:
    """A camera that follows the first car and writes an mp4.

    Args:
        scene: A Genesis scene that is not built yet.
    """

    def __init__(self, scene: "Scene") -> None:
        self._scene = scene
        self._camera: Any = scene.add_camera(res=_RESOLUTION, fov=45, GUI=False)
        self._next_frame_time = 0.0
        self._yaw: float | None = None

    def begin(self, path: ReferencePath) -> None:
        """Paint the path on the road and start recording."""
        for xy in path.samples[:: max(1, len(path.samples) // 1500), :2]:
            self._scene.draw_debug_sphere(
                pos=(float(xy[0]), float(xy[1]), 0.0), radius=0.012, color=(1.0, 0.8, 0.1, 1.0)
            )
        self._camera.start_recording()

    def film(self, time: float, state: CarState) -> None:
        """Take a frame if one is due at this time [s]."""
        if time < self._next_frame_time:
            return
        self._next_frame_time += 1 / _FRAMES_PER_SECOND
        x, y = (float(value) for value in state.position[0])
        yaw = float(state.yaw[0])
        # The camera's heading lags behind the car's, so that turns are seen.
        turned = 0.0 if self._yaw is None else math.remainder(yaw - self._yaw, 2 * math.pi)
        self._yaw = yaw if self._yaw is None else self._yaw + 0.12 * turned
        back = np.array([math.cos(self._yaw), math.sin(self._yaw)])
        position = np.array([x, y]) - 1.3 * back
        ahead = np.array([x, y]) + 0.4 * back
        self._camera.set_pose(
            pos=(float(position[0]), float(position[1]), 0.6),
            lookat=(float(ahead[0]), float(ahead[1]), 0.05),
        )
        self._camera.render()

    def save(self, file: Path) -> None:
        """Write the frames as an mp4.

        Raises:
            OutputError: If the encoder fails.
        """

        def write(target: Path) -> None:
            self._camera.stop_recording(
                save_to_filename=str(target), fps=_FRAMES_PER_SECOND
            )
            if target.stat().st_size == 0:
                raise OutputError(f"the video encoder wrote nothing to {str(file)!r}")

        write_atomically(file, write)
