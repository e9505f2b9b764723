"""What is recorded: the expert's actions, in the states that a driver gets into."""

import math
from types import SimpleNamespace

import pytest
import torch
from torch import Tensor

from diffcar.base.config import load_config
from diffcar.base.errors import ConfigError
from diffcar.base.section import Section
from diffcar.comparison.config import CompareConfig
from diffcar.controllers.errors import compute_error_state
from diffcar.controllers.observation import PathObserver
from diffcar.controllers.pure_pursuit import PurePursuit
from diffcar.controllers.tracking_mlp import build_tracking_mlp
from diffcar.controllers.zero import Zero
from diffcar.demonstrations.config import DemonstrationConfig, RecordConfig
from diffcar.demonstrations.table import ACTION_COLUMNS, to_demonstrations
from diffcar.path.reference import ReferencePath
from diffcar.sim.contract import CarState
from diffcar.training.bc.config import TrainBCConfig
from tests.demonstrations.recorded import CONFIG, QUIET, record
from tests.samples import VEHICLE, road


class Straight:
    """Drives on whatever the road does."""

    name = "straight"

    def __call__(self, state: CarState, errors: object) -> Tensor:
        return torch.stack([torch.zeros_like(state.speed), torch.full_like(state.speed, 2.0)], -1)


def quiet_but(**values: float) -> DemonstrationConfig:
    return QUIET.model_copy(update=values)


def test_recorded_rows_are_states_before_actions(figure_eight: ReferencePath) -> None:
    """The first rows are the start states, and a row's action is the expert's in its state."""
    table = record(figure_eight).table
    assert list(table)[:2] == ["episode", "t_s"]
    assert table["t_s"][:3].tolist() == pytest.approx([0.0, 0.02, 0.04])
    assert len(table["x_m"]) == 4 * 50
    car = CarState(
        position=torch.stack([table["x_m"], table["y_m"]], -1),
        yaw=table["yaw_rad"],
        speed=table["speed_mps"],
        lateral_velocity=table["lateral_velocity_mps"],
        yaw_rate=table["yaw_rate_radps"],
        steering_angles=table["steering_angle_rad"][:, None].expand(-1, 2),
        wheel_speeds=torch.zeros(200, 2),
        qpos=torch.zeros(200, 13),
        dofs_velocity=torch.zeros(200, 12),
    )
    errors = compute_error_state(figure_eight, car, table["arc_length_m"])
    action = PurePursuit(VEHICLE)(car, errors)
    assert torch.allclose(action[:, 0], table["steering_command_rad"], atol=1e-9)
    assert torch.allclose(action[:, 1], table["speed_command_mps"], atol=1e-9)
    observation = PathObserver(CONFIG).observe(car, errors)
    assert torch.allclose(observation[:, -1], table["obs_speed_0.4m"], atol=1e-9)


def test_noise_disturbs_what_is_driven_but_not_what_is_recorded(
    figure_eight: ReferencePath,
) -> None:
    """Half of the cars drive other commands than are recorded, and further from the path."""
    config = quiet_but(noisy_fraction=0.5, steering_noise=0.2, duration=2.0)
    recording = record(figure_eight, config)
    assert recording.is_noisy.tolist() == [True, True, False, False]
    recorded = recording.table["steering_command_rad"].reshape(4, -1)
    difference = recording.trajectory.action[..., 0].T - recorded
    assert torch.count_nonzero(difference[2:]) == 0
    assert 0.1 < float(difference[:2].std()) < 0.3
    # Smooth: what comes next resembles what was, as exp(-dt / noise_time) says.
    before, after = difference[:2, :-1].flatten(), difference[:2, 1:].flatten()
    correlation = float(torch.corrcoef(torch.stack([before, after]))[0, 1])
    assert correlation == pytest.approx(math.exp(-0.02 / 0.2), abs=0.08)


def test_recording_depends_on_the_seed_alone(figure_eight: ReferencePath) -> None:
    """The same seed gives the same rows, another seed others."""
    config = quiet_but(noisy_fraction=1.0)
    tables = [record(figure_eight, config, seed=seed).table for seed in (1, 1, 2)]
    assert all(torch.equal(tables[0][name], tables[1][name]) for name in tables[0])
    assert not torch.equal(tables[0]["x_m"], tables[2]["x_m"])


def test_expert_labels_what_another_one_drives(figure_eight: ReferencePath) -> None:
    """DAgger: the cars go where the learner takes them, the actions are the expert's."""
    recording = record(figure_eight, driver=Zero(VEHICLE))
    assert torch.count_nonzero(recording.trajectory.action) == 0
    assert float(recording.table["speed_command_mps"].min()) > 0.5
    assert float(recording.table["steering_command_rad"].abs().max()) > 0.0


def test_an_episode_ends_where_its_car_loses_the_path() -> None:
    """Nothing is learnt from a car that has left the road, nor beyond the end of an open one."""
    circle = road("circle")
    lost = record(circle, quiet_but(duration=5.0), driver=Straight())
    assert lost.is_lost.any()
    assert float(lost.table["cross_track_m"].abs().max()) <= 1.0
    assert len(lost.table["x_m"]) < 4 * 250
    lane = road("obstacle-avoidance")
    ended = record(lane, quiet_but(duration=8.0))
    assert not ended.is_lost.any()
    assert lane.length - 0.2 < float(ended.table["arc_length_m"].max()) < lane.length


def test_output_is_what_the_network_would_have_to_say(figure_eight: ReferencePath) -> None:
    """The network's own scaling turns the outputs to learn into the actions recorded."""
    network = build_tracking_mlp(CONFIG, VEHICLE, dtype=torch.float64, seed=3)
    with torch.no_grad():
        for weight in network.network.parameters():
            weight.mul_(1.5)
    recording = record(figure_eight, expert=network)
    learnt = to_demonstrations(recording.table, controller_config=CONFIG, vehicle=VEHICLE)
    assert float(learnt.output.abs().max()) <= 1.0
    assert float(learnt.output[:, 1].abs().max()) > 0.01
    driven = network.command(learnt.output, SimpleNamespace(speed=recording.table["speed_mps"]))
    for index, name in enumerate(ACTION_COLUMNS):
        assert torch.allclose(driven[:, index], recording.table[name], atol=1e-9)


@pytest.mark.parametrize("schema", [RecordConfig, TrainBCConfig, CompareConfig])
def test_more_rows_than_memory_holds_are_refused(schema: type[Section]) -> None:
    """Before anything is built, with the settings that make them so many."""
    told = "num_episodes 65536 .*duration 8 s at dt 0.02 s are 26214400 rows; up to 10000000"
    with pytest.raises(ConfigError, match=told):
        load_config(schema, overrides=["demonstrations.num_episodes=65536"])
    load_config(schema, overrides=["demonstrations.num_episodes=20000"])
