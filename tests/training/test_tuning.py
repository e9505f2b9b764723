"""The search for the classical controllers' parameters: within ranges, repeatable, and of use."""

import math

import pytest
import torch

from diffcar.controllers.config import CONTROLLERS
from diffcar.controllers.errors import ErrorState
from diffcar.controllers.stanley import Stanley
from diffcar.sim.contract import CarState
from diffcar.tasks.tracking.drive import drive
from diffcar.tasks.tracking.metrics import car_figures
from diffcar.training.config import TuningConfig
from diffcar.training.tuning import Generation, _rmse_of, tune
from tests.bicycle import Bicycle, Fragile
from tests.samples import road

# What its tests share is made in one worker alone.
pytestmark = pytest.mark.xdist_group("tuning")

PATH = road("double-lane-change")
CONFIG = TuningConfig(num_generations=2, num_candidates=8, duration=3.0)
BAD = {"gain": 0.2, "softening": 8.0, "yaw_damping": 0.0, "slip_gain": 0.01, "speed_lead": 0.0}


@pytest.fixture(scope="module")
def cars() -> Bicycle:
    """Two cars for each of eight candidates."""
    return Bicycle(16, dt=0.04)


@pytest.fixture(scope="module")
def found(cars: Bicycle) -> list[Generation]:
    """What a search for Stanley's parameters comes to."""
    return list(tune("stanley", cars, PATH, CONFIG, seed=3))


def rmse_with(parameters: dict[str, float], cars: Bicycle) -> float:
    """Return the RMSE of one car from rest and one flying from half-way [m]."""
    is_standing = torch.arange(cars.num_envs) % 2 == 0
    half_way = torch.full_like(is_standing, PATH.length / 2, dtype=PATH.dtype)
    driven = drive(
        cars,
        Stanley(cars.vehicle, **parameters),
        PATH,
        is_standing=is_standing,
        arc_length=torch.where(is_standing, 0.0, half_way),
        max_time=CONFIG.duration,
    )
    return float(car_figures(driven, must_arrive=False).cross_track_rmse[:2].square().mean().sqrt())


def test_what_is_found_beats_a_bad_choice_and_is_what_it_is_said_to_be(
    cars: Bicycle, found: list[Generation]
) -> None:
    """Driven again, the best parameters have the RMSE that the search names."""
    best = found[-1]
    assert rmse_with(best.parameters, cars) == pytest.approx(best.cross_track_rmse_m, rel=1e-9)
    assert best.cross_track_rmse_m < 0.5 * rmse_with(BAD, cars)


@pytest.mark.parametrize("name", ["acceleration-pursuit", "pure-pursuit", "stanley"])
def test_the_best_never_gets_worse_within_the_ranges(
    name: str, cars: Bicycle, found: list[Generation]
) -> None:
    """For every controller and parameter; costs add up."""
    ranges = CONTROLLERS[name].SEARCH
    search = found if name == "stanley" else list(tune(name, cars, PATH, CONFIG, seed=0))
    assert [generation.number for generation in search] == [1, 2]
    assert search[1].cross_track_rmse_m <= search[0].cross_track_rmse_m < 0.1
    assert search[1].num_env_steps > search[0].num_env_steps >= 16
    assert search[0].num_env_steps <= 16 * round(CONFIG.duration / cars.dt)
    assert search[1].seconds > search[0].seconds
    for generation in search:
        assert generation.parameters.keys() == ranges.keys()
        for parameter, value in generation.parameters.items():
            assert ranges[parameter][0] <= value <= ranges[parameter][1], parameter


def test_a_candidate_that_breaks_the_physics_is_the_worst(
    cars: Bicycle, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The others have the RMSE that they have without it."""
    gains = torch.linspace(0.5, 4.0, 8, dtype=torch.float64)
    parameters = {**{name: torch.full((8,), value) for name, value in BAD.items()}, "gain": gains}
    expected, _ = _rmse_of(Stanley, parameters, cars, PATH, CONFIG.duration)
    upstream = Stanley.__call__

    def reckless(self: Stanley, state: CarState, errors: ErrorState) -> torch.Tensor:
        action = upstream(self, state, errors)
        return action.where((self.gain != gains[5])[:, None], 99.0)

    monkeypatch.setattr(Stanley, "__call__", reckless)
    found, _ = _rmse_of(Stanley, parameters, Fragile(16, dt=cars.dt), PATH, CONFIG.duration)
    assert found[5] == math.inf
    others = torch.arange(8) != 5
    assert torch.allclose(found[others], expected[others], rtol=1e-9)


def test_the_seed_decides(cars: Bicycle, found: list[Generation]) -> None:
    """The same one finds the same parameters, another one others."""
    again = next(tune("stanley", cars, PATH, CONFIG, seed=3))
    other = next(tune("stanley", cars, PATH, CONFIG, seed=4))
    assert again.parameters == found[0].parameters
    assert again.cross_track_rmse_m == found[0].cross_track_rmse_m
    assert other.parameters != found[0].parameters
