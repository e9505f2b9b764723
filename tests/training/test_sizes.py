"""A car of another size trains without a setting, in whatever suits it, and goes on with that."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from diffcar.base.config import load_config
from diffcar.controllers.checkpoint import config_values, load_checkpoint
from diffcar.sim.model.read import load_vehicle
from diffcar.sim.model.suited import suited
from diffcar.tasks.tracking.config import TrainE2EConfig
from diffcar.training.run import TrainingResult, train
from tests.bicycle import bicycle_scenes

SAVED = Path(__file__).parents[1] / "fixtures" / "saved"
FEW = {
    "train.num_envs": 8,
    "evaluation.num_envs": 8,
    "evaluation.interval": 30,
    "evaluation.unseen_paths": [],
}


def config_of(num_updates: int) -> TrainE2EConfig:
    """Return the settings of a short training of the sedan; all that has a unit is left out."""
    own = {"model": "sedan", "precision": 64, "train.num_updates": num_updates}
    return load_config(TrainE2EConfig, flags=own | FEW)


def trained(config: TrainE2EConfig, **how: Any) -> TrainingResult:
    return train("e2e", config, scenes=bicycle_scenes(config), **how)


@pytest.mark.usefixtures("_unpainted")
def test_a_sedan_learns_goes_on_and_remembers_what_it_was_trained_with(tmp_path: Path) -> None:
    """What follows from the car is in the run's settings, and holds when the run goes on."""
    run = trained(config_of(30), out=tmp_path / "run")
    assert run.after.got_going == 1.0
    assert run.after.cross_track_rmse_m < 0.1 * run.before.cross_track_rmse_m
    assert run.after.cross_track_rmse_m < 0.05 * 2.7
    written = yaml.safe_load((tmp_path / "run" / "config.yaml").read_text())
    assert (written["dt"], written["path"]["top_speed"]) == (0.0286, 8.58)
    assert written["controller"]["car_size"] == 8.18
    # Settings of the library, which say no more than they did.
    more = trained(config_of(31), resume=tmp_path / "run", certify=False)
    assert (more.num_updates, len(more.losses)) == (31, 1)
    assert yaml.safe_load((tmp_path / "run" / "config.yaml").read_text()) == (
        written | {"train": written["train"] | {"num_updates": 31}}
    )


def test_a_checkpoint_from_before_sizes_observes_as_it_did() -> None:
    """Also of a car of another size, which was trained with what the shipped one has."""
    values = config_values(load_checkpoint(SAVED / "e2e-0"))
    before = load_config(TrainE2EConfig, base=values)
    after = suited(before, load_vehicle("sedan"))
    assert after.controller == before.controller
    assert after.controller.car_size == 1.0
    assert (after.dt, after.path, after.loss) == (before.dt, before.path, before.loss)


@pytest.mark.genesis
@pytest.mark.usefixtures("_unpainted")
def test_a_sedan_trains_in_genesis(tmp_path: Path) -> None:
    """Its gradients are proved, and a dozen updates halve its error."""
    run = train("e2e", config_of(12), out=tmp_path / "run")
    assert run.certificate is not None
    assert run.certificate.verdict.startswith("right")
    assert run.certificate.worst_relative_error < 1e-6
    assert run.num_skipped == 0
    assert run.after.cross_track_rmse_m < 0.5 * run.before.cross_track_rmse_m
