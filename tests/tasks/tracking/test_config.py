"""Settings of training that do not go together."""

import pytest

from diffcar.base.config import load_config
from diffcar.base.errors import ConfigError
from diffcar.tasks.tracking.config import TrainE2EConfig


def test_delays_that_the_network_is_not_told_of_are_refused() -> None:
    """With as many past commands as tell them apart they are not; nor where it is told of none."""
    late = ["randomisation.delay_steps=[0, 5]"]
    with pytest.raises(ConfigError, match=r"up to 3 steps apart, .* up to 5: "):
        load_config(TrainE2EConfig, overrides=[*late, "controller.past_commands=12"])
    for number in (0, 8, 18):
        load_config(TrainE2EConfig, overrides=[*late, f"controller.past_commands={number}"])
