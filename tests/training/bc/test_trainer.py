"""Behaviour cloning: the clone does what its expert did, and a stopped run goes on exactly."""

import copy
import io
import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from diffcar.base.errors import ConfigError, DemonstrationError
from diffcar.controllers.tracking_mlp import build_tracking_mlp
from diffcar.demonstrations.table import Demonstrations
from diffcar.training.bc.trainer import BCTrainer
from diffcar.training.run_folder import RunFolder
from tests.samples import VEHICLE
from tests.training.small import config_of, plain_task

SMALL = ("controller.hidden_sizes=[16]", "train.batch_size=90", "train.learning_rate=0.03")


def demonstrate(num_episodes: int = 10, num_rows: int = 60, seed: int = 0) -> Demonstrations:
    """Return what a network of fixed weights does in random situations, most of them to the left.

    Observations are of very different sizes, and some of them far from zero.
    """
    teacher = build_tracking_mlp(
        config_of("bc", *SMALL).controller, VEHICLE, dtype=torch.float64, seed=99
    )
    with torch.no_grad():
        teacher.network.network[-2].weight.mul_(8.0)
    total, size = num_episodes * num_rows, 15
    generator = torch.Generator().manual_seed(seed)
    unit = torch.randn(total, size, generator=generator, dtype=torch.float64)
    sizes = torch.logspace(-1.0, 0.3, size, dtype=torch.float64)
    observation = sizes * (unit + 0.7)
    with torch.no_grad():
        output = teacher.output(observation)
    return Demonstrations(observation, output, torch.arange(total) // num_rows)


@dataclass
class Recorder:
    """Has each round's demonstrations at hand, and remembers who asked for them."""

    demonstrate: Callable[[int], Demonstrations] = lambda number: demonstrate(2, seed=number)
    rounds: list[int] = field(default_factory=list)

    def demonstrations(self, folder: object, number: int, *, is_new: bool) -> Demonstrations:
        del is_new
        self.rounds.append(number)
        return self.demonstrate(number)


def trainer_of(
    *overrides: str,
    demonstrations: Demonstrations | None = None,
    recorder: Recorder | None = None,
) -> BCTrainer:
    given = demonstrate() if demonstrations is None else demonstrations
    trainer = BCTrainer(
        plain_task(config_of("bc", *SMALL, *overrides)), recorder or Recorder(), given
    )  # type: ignore[arg-type]
    trainer.begin(RunFolder(Path("nowhere")))
    return trainer


def held_out_error(trainer: BCTrainer) -> float:
    """Return the error of the controller itself, on observations as they come."""
    rows = trainer._data.held_out_rows
    with torch.no_grad():
        output = trainer.task.driver.output(trainer._data.observation[rows])
    squares = (output - trainer._data.output[rows]).square().mean(0)
    variance = trainer._data.output[trainer._data.train_rows].var(0, unbiased=False)
    return float((squares / variance).sum())


def saved(state: Mapping[str, Any]) -> dict[str, Any]:
    """Return a state as it comes back from a checkpoint."""
    stream = io.BytesIO()
    torch.save(dict(state), stream)
    stream.seek(0)
    return torch.load(stream, weights_only=True)


def weights_of(trainer: BCTrainer) -> dict[str, Tensor]:
    return copy.deepcopy(trainer.task.network.state_dict())


def test_a_network_clones_a_network() -> None:
    """Of the outputs' variance two hundredths are left on episodes that it has not seen."""
    trainer = trainer_of("train.num_updates=60", demonstrations=demonstrate(10, 120))
    steps = list(trainer.train())
    assert trainer.is_finished
    assert [step.iteration for step in steps] == list(range(1, 61))
    assert steps[0].validation_loss > 0.2
    assert min(step.validation_loss for step in steps) < 0.02
    assert steps[-1].loss == pytest.approx(sum(steps[-1].terms.values()))
    assert steps[-1].num_rows == trainer.num_env_steps == 1200


def test_the_folded_network_does_for_raw_observations_what_the_student_does_for_scaled() -> None:
    """After every pass; standardised they would mean something else to it."""
    trainer = trainer_of("train.num_updates=5")
    observation = demonstrate(seed=7).observation
    for _ in trainer.train():
        scaled = trainer._scaling.apply(observation)
        expected = trainer._student.output(scaled)
        assert torch.allclose(trainer.task.driver.output(observation), expected, atol=1e-10)
        assert not torch.allclose(trainer.task.driver.output(scaled), expected, atol=1e-2)


def test_a_clone_of_left_turns_knows_right_turns() -> None:
    """Mirrored situations get mirrored steering and the same drive, close to the teacher's."""
    trainer = trainer_of("train.num_updates=40")
    list(trainer.train())
    mirror, given = trainer.task.driver.observer.mirror, demonstrate(2, seed=5)
    assert float(given.observation[:, 0].mean()) > 0
    with torch.no_grad():
        seen = trainer.task.driver.output(given.observation)
        mirrored = trainer.task.driver.output(mirror(given.observation))
    assert torch.allclose(mirrored, seen * torch.tensor([-1.0, 1.0]), atol=1e-12)
    assert float((mirrored[:, 0] + given.output[:, 0]).std()) < 0.3 * float(
        given.output[:, 0].std()
    )
    # Mirror images are standardised alike: no entry that changes its sign has a mean.
    antisymmetric = mirror(torch.ones(1, 15, dtype=torch.float64))[0] < 0
    assert float(trainer._scaling.mean[antisymmetric].abs().max()) < 1e-12


@pytest.mark.parametrize("stop_after", [3, 6, 9])
def test_a_stopped_run_goes_on_exactly(stop_after: int) -> None:
    """Within the first round, between two, and within the second; data are collected once each."""
    overrides = ("train.num_updates=12", "train.dagger_rounds=1")
    whole = trainer_of(*overrides)
    expected = [(step.loss, step.validation_loss) for step in whole.train()]
    stopped = trainer_of(*overrides)
    found = [(step.loss, step.validation_loss) for step in stopped.train(stop_after)]
    state = saved(stopped.state_dict())
    recorder = Recorder()
    resumed = trainer_of(*overrides, recorder=recorder)
    resumed.load_state_dict(state)
    assert torch.equal(
        weights_of(resumed)["network.0.weight"], state["network"]["network.0.weight"]
    )
    found += [(step.loss, step.validation_loss) for step in resumed.train()]
    assert found == expected
    assert recorder.rounds == [1]
    assert resumed.is_finished
    assert resumed.num_env_steps == whole.num_env_steps == 720
    for name, weight in weights_of(whole).items():
        assert torch.equal(weight, weights_of(resumed)[name]), name


def test_each_round_collects_once_while_the_clone_so_far_drives() -> None:
    """With the best weights of the round before, and the new rows are learnt from."""
    driven: list[tuple[int, float]] = []

    def collect(number: int) -> Demonstrations:
        driven.append((number, held_out_error(trainer)))
        return demonstrate(2, seed=number)

    recorder = Recorder(collect)
    trainer = trainer_of("train.num_updates=9", "train.dagger_rounds=2", recorder=recorder)
    steps = list(trainer.train())
    assert [step.round for step in steps] == [0] * 3 + [1] * 3 + [2] * 3
    assert [step.num_rows for step in steps] == [600] * 3 + [720] * 3 + [840] * 3
    assert [number for number, _ in driven] == [1, 2]
    for number, error in driven:
        own = [step.validation_loss for step in steps if step.round == number - 1]
        assert error == pytest.approx(min(own), rel=1e-6)
    # Each round begins with the full step size again.
    rates = [step.learning_rate for step in steps]
    assert rates[3:6] == rates[:3]
    assert rates[0] > rates[1] > rates[2]


def test_patience_ends_a_round_and_its_best_weights_stay() -> None:
    """From an expert that throws dice nothing is learnt for long; what was best is what is left."""
    dice = demonstrate()
    dice.output.copy_(torch.rand(600, 2, generator=torch.Generator().manual_seed(1)) * 2 - 1)
    trainer = trainer_of("train.num_updates=200", "train.patience=5", demonstrations=dice)
    steps = list(trainer.train())
    losses = [step.validation_loss for step in steps]
    assert trainer.is_finished
    assert len(losses) - 1 - losses.index(min(losses)) == 5
    assert len(losses) < 200
    assert losses[-1] > min(losses)
    assert held_out_error(trainer) == pytest.approx(min(losses), rel=1e-6)


def test_whole_episodes_are_held_out() -> None:
    """No row of theirs is trained on, and the seed decides which."""
    chosen = []
    for seed in (0, 0, 1, 2, 3):
        data = trainer_of("train.validation_fraction=0.2", f"seed={seed}")._data
        episode = demonstrate().episode
        held_out, trained_on = (
            set(episode[r].tolist()) for r in (data.held_out_rows, data.train_rows)
        )
        assert len(held_out) == 2
        assert held_out | trained_on == set(range(10))
        assert not held_out & trained_on
        assert len(data.held_out_rows) + len(data.train_rows) == 600
        chosen.append(held_out)
    assert chosen[0] == chosen[1]
    assert any(other != chosen[0] for other in chosen[2:])


def test_a_single_episode_is_held_out_in_pieces() -> None:
    """Two of twenty: neighbouring rows are nearly equal, so single rows would tell nothing."""
    data = trainer_of(demonstrations=demonstrate(1, 200))._data
    rows = data.held_out_rows.tolist()
    assert len(rows) == 20
    assert len({row // 10 for row in rows}) == 2
    gaps = [after - before for before, after in itertools.pairwise(rows)]
    assert sum(gap > 1 for gap in gaps) <= 1


@pytest.mark.parametrize("num_rows", [0, 1])
def test_too_few_rows_are_refused(num_rows: int) -> None:
    """Something must be trained on, and something else held out."""
    whole = demonstrate()
    few = Demonstrations(
        whole.observation[:num_rows], whole.output[:num_rows], whole.episode[:num_rows]
    )
    with pytest.raises(DemonstrationError, match=f"^{num_rows} rows .* too few"):
        trainer_of(demonstrations=few)


def test_more_rounds_than_passes_are_refused() -> None:
    """Or the run would end before its last round, and never be finished."""
    with pytest.raises(ConfigError, match="dagger_rounds"):
        config_of("bc", "train.num_updates=2", "train.dagger_rounds=2")
