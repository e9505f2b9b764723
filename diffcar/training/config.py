"""The settings of tuning classical controllers."""

from typing import Annotated

from pydantic import Field

from diffcar.base.section import Count, Duration, Follows, Section

__all__ = ["TuningConfig"]


class TuningConfig(Section):
    """The search for the parameters of the classical controllers, on the training path."""

    num_generations: Count = 5
    """Rounds; each searches nearer around the best of the round before."""
    num_candidates: Annotated[int, Field(ge=8, le=4096)] = 64
    """Sets of parameters in a round, each driving two cars of its own."""
    duration: Annotated[Duration, Follows("time")] = 15.0
    """Simulated time of a drive [s]."""
