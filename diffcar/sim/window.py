"""Genesis's own window, which may be closed while the simulation goes on."""

from typing import TYPE_CHECKING, Any

from diffcar.base.errors import SimulationError
from diffcar.base.log import logger

if TYPE_CHECKING:
    from genesis import Scene

__all__ = ["keep_going_when_closed", "window_options"]


def window_options(view: tuple[float, float, float], is_paced: bool) -> dict[str, Any]:
    """Return how Genesis opens a window, as options of its scene.

    Args:
        view: Where it looks from, relative to what it follows [m].
        is_paced: Whether a second of simulation takes a second.

    Raises:
        SimulationError: If there is nothing to show it on.
    """
    import genesis as gs

    if not gs.utils.has_display():
        raise SimulationError(
            "there is no display for a window",
            hint="leave --viewer out, or film without one: diffcar simulate --video drive.mp4",
        )
    pace = 1.0 if is_paced else None
    options = gs.options.ViewerOptions(camera_pos=view, realtime_factor=pace)
    return {"show_viewer": True, "viewer_options": options}


def keep_going_when_closed(scene: "Scene") -> None:
    """Let the next step after a window was closed go on without it, which Genesis refuses."""
    viewer: Any = scene.visualizer.viewer
    update = viewer.update

    def leave(*args: object, **how: object) -> None:
        pass

    def update_while_open(*args: object, **how: object) -> None:
        if viewer.is_alive():
            update(*args, **how)
            return
        logger.info("the window was closed; going on without it")
        viewer.update = viewer.update_on_sim_step = leave

    viewer.update = update_while_open
