"""Pictures of pushes."""

from pathlib import Path

from diffcar.base.figure import new_figure, save_png
from diffcar.tasks.pushing.rollout import PushTrajectory

__all__ = ["plot_push"]

_NUM_DRAWN_PUSHES = 8


def plot_push(before: PushTrajectory, after: PushTrajectory, file: Path) -> None:
    """Draw pushes from above, before and after training: path, centroid and tool of each body.

    Args:
        before: Pushes by the untrained network.
        after: The same by the trained one.
        file: PNG file to write.
    """
    num_bodies = min(after.centroid.shape[1], _NUM_DRAWN_PUSHES)
    figure = new_figure(10, 2.4 * ((num_bodies + 1) // 2))
    drawn = figure.subplots((num_bodies + 1) // 2, 2, sharex=True, sharey=True, squeeze=False)
    start = after.start
    reference = start.to_world(start.path.sample(start.arc_length + after.target_distance).position)
    for body, axes in enumerate(drawn.flat[:num_bodies]):
        for track, style in (
            (reference, {"color": "0.65", "linewidth": 3, "label": "reference"}),
            (before.centroid, {"color": "tab:orange", "label": "body, untrained"}),
            (after.centroid, {"color": "tab:blue", "label": "body, trained"}),
            (after.tool_position, {"color": "tab:red", "linestyle": ":", "label": "tool, trained"}),
        ):
            x, y = track[:, body].double().cpu().numpy().T
            axes.plot(x, y, **style)
        axes.set_aspect("equal", adjustable="box")
        axes.set_title(f"{start.path.name} from {float(start.arc_length[body]):.2f} m", fontsize=9)
        axes.grid(alpha=0.3)
    for axes in drawn[-1]:
        axes.set_xlabel("x [m]")
    for axes in drawn[:, 0]:
        axes.set_ylabel("y [m]")
    figure.legend(*drawn[0, 0].get_legend_handles_labels(), loc="outside upper center", ncols=4)
    save_png(figure, file)
