"""The settings of the tracking network, and the controllers that need no training."""

import difflib
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from diffcar.base.errors import CheckpointError
from diffcar.base.files import is_there, near_runs
from diffcar.base.registry import Registry, is_callable
from diffcar.base.section import Follows, NonNegative, Positive, Section

if TYPE_CHECKING:
    from diffcar.controllers.contract import Controller

__all__ = ["CONTROLLERS", "SHIPPED", "ControllerConfig", "check_controller"]

SHIPPED = "shipped"
"""What the trained controller is called that comes with diffcar, for the shipped `car`."""

CONTROLLERS: Registry[Callable[..., "Controller"]] = Registry(
    "controller",
    {
        "acceleration-pursuit": "diffcar.controllers.acceleration_pursuit:AccelerationPursuit",
        "pure-pursuit": "diffcar.controllers.pure_pursuit:PurePursuit",
        "stanley": "diffcar.controllers.stanley:Stanley",
        "zero": "diffcar.controllers.zero:Zero",
    },
    error=CheckpointError,
    nor=" and no such run or checkpoint exists",
    known=f"give a run folder, a checkpoint, {SHIPPED}, or one of",
    accepts=is_callable,
    others=lambda name: [*difflib.get_close_matches(name, [SHIPPED]), *near_runs(name)],
)
"""Classes by name, made with a vehicle; one with a `SEARCH` of its parameters' ranges is tuned and
compared."""


Width = Annotated[int, Field(ge=1, le=4096)]


class ControllerConfig(Section):
    """The network and what it observes."""

    hidden_sizes: Annotated[list[Width], Field(min_length=1, max_length=8)] = Field(
        default=[64, 64]
    )
    """Width of each hidden layer."""
    curvature_preview: Annotated[list[NonNegative], Field(min_length=1), Follows("preview")] = (
        Field(default=[0.0, 0.1, 0.2, 0.35, 0.55, 0.8])
    )
    """How far ahead the path's curvature is observed [`preview_unit`]."""
    speed_preview: Annotated[list[NonNegative], Field(min_length=1), Follows("preview")] = Field(
        default=[0.15, 0.4]
    )
    """How far ahead the reference speed is observed [`preview_unit`]."""
    preview_unit: Literal["m", "s"] = "m"
    """What the previews are in. In seconds they reach as far as a car comes at the reference speed,
    and at a metre a second across it: never less than that."""
    steering_acceleration: Positive | None = None
    """Lateral acceleration that the network's steering asks for at the most [m/s²], so that the
    angle in its hand falls with the square of the speed; null leaves it all of the angle."""
    car_size: Annotated[Positive, Follows("length")] = 1.0
    """How large the car is beside the shipped one, so that what is observed is of order one."""
    past_commands: Annotated[int, Field(ge=0, le=100)] = 0
    """How many of its own last commands the network observes, each with the steering angle and the
    speed that the car had then, so that it knows what is still under way. With nine or more it is
    told how likely they make each of a third as many delays, from none on, and has outputs for each
    of these: what is commanded is their mean by how likely the delays are."""

    @property
    def num_delays(self) -> int:
        """Return of how many delays the network is told how likely they are."""
        return self.past_commands // 3 if self.past_commands >= 9 else 0


def check_controller(spec: str) -> None:
    """Refuse a controller that is neither known by name nor a file or folder nor somebody's own.

    Raises:
        CheckpointError: With the names there are.
    """
    if spec != SHIPPED and not is_there(spec):
        CONTROLLERS.check(spec)
