"""The check of a car, on bicycles: what fails at one horizon leaves the others as they are."""

from collections.abc import Callable
from typing import ClassVar

import pytest
import torch

from diffcar.base.errors import SimulationError
from diffcar.checks import car
from diffcar.checks.config import CertificateConfig, CheckGradConfig, DirectionsConfig
from diffcar.gradients.certificate import Certificate
from diffcar.gradients.guards import Failure
from diffcar.gradients.slopes import Verdict
from diffcar.sim.model.read import load_vehicle
from tests.bicycle import Bicycle


class Fragile(Bicycle):
    """Cars that are refused, or of which one has no numbers, from the fifth step on."""

    is_refused = True
    _num_steps = 0

    def reset(self, start: object) -> None:
        self._num_steps = 0
        super().reset(start)  # type: ignore[arg-type]

    def place(self, pose: torch.Tensor, velocity: torch.Tensor) -> None:
        self._num_steps = 0
        super().place(pose, velocity)

    def step(self) -> None:
        super().step()
        self._num_steps += 1
        if self._num_steps == 5:
            if self.is_refused:
                raise SimulationError("it broke")
            broken = torch.ones(self.num_envs, 1, dtype=self.dtype)
            broken[0] = torch.nan
            self._state = self.describe(self._state.qpos * broken, self._state.dofs_velocity)


@pytest.mark.parametrize("is_refused", [True, False])
def test_one_horizon_that_fails_leaves_the_others(
    is_refused: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In both precisions: its verdict is bad, that of the short one is right."""
    settings = CertificateConfig(
        horizons=[2, 8], num_directions=DirectionsConfig(rolling=1, sliding=0, airborne=0)
    )
    config = CheckGradConfig(precision=64, repairs=False, certificate=settings)
    monkeypatch.setattr(Fragile, "is_refused", is_refused)
    monkeypatch.setattr(
        "diffcar.checks.bench.build_scene",
        lambda config, num_envs, **how: Fragile(num_envs, differentiable=True),
    )
    found = car._certificates_of(config, load_vehicle(), settings.horizons)
    assert found[2].verdict.is_good
    assert found[8].verdict is (Verdict.REFUSED if is_refused else Verdict.NOT_A_NUMBER)
    check = car._Check(config, load_vehicle())
    check.reference = found
    for horizon in (2, 8):
        check.attempt(f"over {horizon} steps", lambda horizon=horizon: check.certify(horizon))
    assert check.result.certified_horizons == [2]
    assert not check.result.certified
    assert any("it broke" in failure for failure in check.result.failures) == is_refused


class AtOnce:
    """What would be done in another process, done here."""

    asked: ClassVar[list[object]] = []

    def __init__(self, function: Callable[..., object], *arguments: object) -> None:
        self.asked += arguments[-1:]
        self.found = function(*arguments)

    def __enter__(self) -> "AtOnce":
        return self

    def __exit__(self, *error: object) -> None:
        pass

    def result(self) -> object:
        return self.found


def test_the_longest_horizon_goes_elsewhere_and_all_take_the_ways_of_training(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings = CertificateConfig(
        horizons=[30, 2], num_directions=DirectionsConfig(rolling=1, sliding=0, airborne=0)
    )
    scenes, equipped = [], []

    def build(config: CheckGradConfig, num_envs: int, **how: object) -> Bicycle:
        scenes.append(Bicycle(num_envs, differentiable=bool(how["differentiable"])))
        return scenes[-1]

    for module in ("bench", "car"):
        monkeypatch.setattr(f"diffcar.checks.{module}.build_scene", build)
    monkeypatch.setattr(car, "equip", equipped.append)
    monkeypatch.setattr(car, "try_attempts", lambda *scene, **how: [])
    monkeypatch.setattr(car, "Child", AtOnce)
    monkeypatch.setattr(car, "_WORTH_A_PROCESS", 30)
    monkeypatch.setattr(car, "_num_cores", lambda: 2)
    found = car.run(CheckGradConfig(certificate=settings))
    assert AtOnce.asked == [[30]]
    assert equipped == [scene for scene in scenes if scene.differentiable]
    assert len(equipped) == 2
    assert [row.horizon for row in found.certificate.rows] == [30] * 3 + [2] * 3
    assert found.certified, found.failures


def test_a_longest_horizon_that_is_refused_elsewhere_leaves_the_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings = CertificateConfig(
        horizons=[2, 30], num_directions=DirectionsConfig(rolling=1, sliding=0, airborne=0)
    )
    for module in ("bench", "car"):
        monkeypatch.setattr(
            f"diffcar.checks.{module}.build_scene",
            lambda config, num_envs, **how: Bicycle(num_envs, differentiable=True),
        )
    refusal = Failure(Verdict.REFUSED, "it broke", "attempt")
    config = CheckGradConfig(certificate=settings)
    apart = AtOnce(lambda: {30: Certificate(failures=(refusal,))})
    check = car._Check(config, load_vehicle(), apart)
    check.certify(2)
    check.await_longest()
    assert check.result.failures == ["comparing with finite differences over 30 steps: it broke"]
    assert check.result.certified_horizons == [2]
    assert 0 <= check.result.certificate.worst_relative_error < 1e-6
    assert not check.result.certified
