"""The contract of a task: something that is driven through the physics, and what it is to do there.

Whoever implements it is trained by `training.backprop.Backprop`, evaluated, saved, resumed,
certified and traced like the tasks that come with diffcar.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, Self, TypeVar

from diffcar.base.section import Settings
from diffcar.base.table import Column, Shown
from diffcar.losses import Loss
from diffcar.tasks.config import ScheduleConfig, UpdatesConfig

if TYPE_CHECKING:
    from torch import Tensor, nn

    from diffcar.gradients.hops import Watch
    from diffcar.gradients.problem import Problem

__all__ = ["Task", "TaskConfig", "seed_of_update"]

StartT = TypeVar("StartT")
RecordT = TypeVar("RecordT")


class TaskConfig(Settings, Protocol):
    """The settings that training needs of every task."""

    task: ClassVar[str]
    """The name of the task that they are of."""

    @property
    def seed(self) -> int:
        """Return the seed of everything random in the run."""

    @property
    def train(self) -> UpdatesConfig:
        """Return the optimisation; a `BackpropConfig` where it goes through the physics."""

    @property
    def evaluation(self) -> ScheduleConfig:
        """Return when training is evaluated."""


class Task(Protocol[StartT, RecordT]):
    """Something that is driven through the physics, and what it is to do there.

    Where every update begins afresh, the defaults of `end`, `pack` and `unpack` do. Whatever is
    trained through the physics has `num_envs` and `scene` besides, once it is built.
    """

    command: ClassVar[str] = ""
    """What trains it on the command line, where that is not the method's own command."""
    folder: ClassVar[str] = ""
    """What its run folders are called behind the date, where that is not the method's command."""
    usage: ClassVar[str] = ""
    """The command line that a finished run folder is put behind to be used, if there is one."""
    metric: ClassVar[Column[Any] | None] = None
    """The metric that is drawn over the updates, if there is one."""

    remedy: ClassVar[str]
    """What a user can do when gradients are not finite."""
    output: ClassVar[str] = "MLP output (and mirror image)"
    """What to call what the network puts out."""
    warnings: tuple[str, ...] = ()
    """What the user should know about what is driven."""
    inputs: tuple[tuple[str, str], ...] = ()
    """Name and digest of each file that it was read from, and that a run must go on with."""
    config: TaskConfig
    """Its settings."""
    loss: Loss
    """What is minimised."""
    network: "nn.Module"
    """Holds the parameters that are trained: weights, or gains, or a line."""
    num_envs: int
    """Environments simulated in parallel in training through the physics."""
    scene: Any
    """What is trained in, through the physics."""

    def __init__(self, config: Any, *, scenes: Any = None) -> None:  # noqa: ANN401
        """Take the settings and what there is already of its scenes; None builds them later."""

    def build(self) -> Self:
        """Build what takes long: scenes, and the untrained network."""

    def keep(self, folder: Path) -> None:
        """Put into a run's folder what its use takes that lies elsewhere, such as a model."""
        return

    def draw(self, update: int, reached: StartT | None) -> StartT:
        """Return where an update begins.

        Args:
            update: Its number, from 0; with the run's seed it decides on what is drawn.
            reached: Where the update before has ended; None begins afresh.
        """

    def roll_out(self, start: StartT, num_steps: int) -> RecordT:
        """Drive from a start, with gradients unless they are switched off."""

    def end(self, record: RecordT) -> StartT | None:
        """Return where a rollout has ended, off the graph; None where each begins afresh."""
        return None

    def backward(self, loss: "Tensor") -> None:
        """Backpropagate through the last rollout.

        Raises:
            SimulationError: If the simulator meets a gradient that is not a number.
        """
        self.scene.backward(loss)

    def pack(self, reached: StartT) -> dict[str, "Tensor"]:
        """Return what a checkpoint holds of where an update has ended."""
        return {}

    def unpack(self, packed: Mapping[str, "Tensor"]) -> StartT | None:
        """Return where an update has ended, from what a checkpoint holds, loaded to the CPU."""
        return None

    def progress(self) -> dict[str, Any]:
        """Return what of the training so far decides how it goes on, besides weights and start."""
        return {}

    def go_on_from(self, progress: Mapping[str, Any]) -> None:
        """Go on from what `progress` returned."""

    def evaluate(self) -> Any:  # noqa: ANN401
        """Return the metrics of the present weights without gradients, a dataclass of floats."""

    def score(self, metrics: Any) -> float:  # noqa: ANN401
        """Return what the best weights are chosen by: the smaller the better.

        Infinite for weights that must never be the best.
        """

    def is_done(self, metrics: Any) -> bool:  # noqa: ANN401
        """Tell whether weights are good enough for a training that ends when they are."""
        return False

    def trace(self, watch: "Watch") -> "Tensor":
        """Return the loss of eight steps, handing over the tensors on the way."""

    def problem(self, horizon: int) -> "Problem":
        """Return what is certified before training: the gradient over so many steps."""

    def prepare(self) -> None:
        """Look, before the first update of a session, at what `finish` will compare with."""
        return

    def finish(self, folder: Path) -> dict[str, Any]:
        """Show what the present weights have come to when training is over, pictures in a folder.

        Returns:
            Findings by their key in the result's JSON; below `unwritten`, which is not there,
            pictures that could not be written (see `kept`).
        """

    @staticmethod
    def report(before: Any, after: Any, findings: Mapping[str, Any]) -> list[Shown]:  # noqa: ANN401
        """Return what people read of the metrics before and after training, and of the findings.

        What is not there yet, or was never asked for, is None or missing.
        """
        return []


def seed_of_update(seed: int, number: int) -> int:
    """Return a seed of its own for every update of every run, from the run's and its number."""
    return (seed * 1_000_003 + number) % (2**63)
