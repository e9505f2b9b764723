"""The certificate: the gradient that training uses against finite differences, many at once.

Every environment of a differentiable scene is a case of its own: a regime, a kind of parameter and
a random direction. One backward pass and two rollouts a step size therefore check all of them.
"""

import math
import statistics
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from diffcar.config import LossConfig
from diffcar.controllers import TrackingMLP
from diffcar.gradcheck.case_controller import CaseController
from diffcar.gradcheck.directional import FLOOR_RATIO, STEP_SIZES, DirectionalCheck
from diffcar.gradcheck.finite_differences import (
    check_environments,
    random_directions,
)
from diffcar.gradcheck.regimes import PARAMETERS, Cases, draw_cases
from diffcar.losses import tracking_costs
from diffcar.path import ReferencePath
from diffcar.rollout import Trajectory, rollout
from diffcar.sim.backend import translated_errors
from diffcar.sim.car import GenesisCar
from diffcar.sim.contract import CarState
from diffcar.tracking import ErrorState

__all__ = ["CertificateRow", "Certifier", "certify_scene"]

OnStep = Callable[[CarState, ErrorState], None]

# Only what the physics carries: terms on the action itself would drown a wrong gradient. Squared
# up to centimetres: training's bend at 3 mm would cost the differences digits, not the gradient.
_LOSS = LossConfig(cross_track=100.0, cross_track_scale=0.02, effort=0.0, smoothness=0.0)
# Norms of the directions, so that one sweep of step sizes suits all parameters.
_HEIGHT_SHARE = 1e-3
_SCALES = {"actions": 3.0, "initial state": 1.0, "network weights": 10.0}


@dataclass(frozen=True)
class CertificateRow:
    """The directions of one regime, kind of parameter and horizon."""

    regime: str
    """`rolling`, `sliding` or `airborne`."""
    parameter: str
    """`actions`, `initial state` or `network weights`."""
    horizon: int
    """Control steps of the rollout."""
    checks: tuple[DirectionalCheck, ...]
    """One a direction."""
    regime_fraction: float
    """Fraction of the steps at which the cars were in the regime."""

    def against(self, reference: "CertificateRow") -> "CertificateRow":
        """Return the row with another row's gradients in place of the differences."""
        values = [check.analytic_gradient for check in reference.checks]
        typical = math.sqrt(statistics.fmean(value**2 for value in values))
        checks = []
        for check, value in zip(self.checks, values, strict=True):
            larger = max(abs(check.analytic_gradient), abs(value), FLOOR_RATIO * typical)
            error = abs(check.analytic_gradient - value) / larger
            checks.append(
                replace(
                    check,
                    numeric_gradient=value,
                    relative_error=error,
                    uncertainty=0.0,
                    is_kink=False,
                )
            )
        return replace(self, checks=tuple(checks))


class Certifier:
    """Checks gradients in one scene.

    Args:
        scene: Differentiable cars.
        controller: A network of the kind that is trained; its weights are the ones perturbed.
        path: The reference.
        labels: Regime and kind of parameter of each environment.
        max_horizon: Longest rollout.
        step_sizes: Perturbations tried along each direction.
        seed: Of starts, actions and directions.
    """

    def __init__(
        self,
        scene: GenesisCar,
        controller: TrackingMLP,
        path: ReferencePath,
        labels: Sequence[tuple[str, str]],
        *,
        max_horizon: int,
        step_sizes: Sequence[float],
        seed: int = 0,
    ) -> None:
        self.scene = scene
        self.controller = controller
        self.path = path
        self.max_horizon = max_horizon
        self.step_sizes = step_sizes
        self.seed = seed
        self.cases: Cases = draw_cases(labels, path, scene, horizon=max_horizon + 1, seed=seed)

    def certify(self, horizon: int) -> Iterator[CertificateRow]:
        """Yield the rows of one horizon.

        Raises:
            SimulationError: If Genesis meets a gradient that is not a number.
        """
        parameters = self._parameters(horizon)
        sliding: list[Tensor] = []
        airborne: list[Tensor] = []

        def note_regime(state: CarState, errors: ErrorState) -> None:
            sliding.append(self.cases.is_sliding(state, self.scene))
            airborne.append(self.cases.is_airborne(state, self.scene))

        def costs() -> Tensor:
            sliding.clear()
            airborne.clear()
            return self._costs(parameters, horizon, note_regime)

        with translated_errors():
            checks = check_environments(
                costs,
                [tensor for group in parameters.values() for tensor in group],
                self._directions(parameters),
                step_sizes=self.step_sizes,
            )
        in_air = torch.stack(airborne).double().mean(0)
        in_slide = torch.stack(sliding).double().mean(0)
        fractions = {"airborne": in_air, "sliding": in_slide, "rolling": 1 - in_air - in_slide}
        for regime, parameter, rows in self.cases.groups():
            yield CertificateRow(
                regime=regime,
                parameter=parameter,
                horizon=horizon,
                checks=tuple(checks[row] for row in rows),
                regime_fraction=float(fractions[regime][rows].mean()),
            )

    def guards(self, horizon: int) -> list[str]:
        """Return which of the conditions fail without which a comparison proves nothing.

        Args:
            horizon: Control steps.

        Raises:
            SimulationError: If Genesis meets a gradient that is not a number.
        """
        parameters = self._parameters(horizon)
        # One action more than is driven: what is commanded after the last scored state.
        parameters["actions"] = [self.cases.actions[:, : horizon + 1].clone().requires_grad_()]
        leaves = [tensor for group in parameters.values() for tensor in group]
        passes = []
        with translated_errors():
            for _ in range(2):
                costs = self._costs(parameters, horizon)
                gradients = torch.autograd.grad(costs.sum(), leaves, materialize_grads=True)
                passes.append((costs.detach(), *gradients))
        with torch.no_grad():
            plain = self._costs(parameters, horizon)
        failures = []
        if not torch.equal(plain, passes[0][0]):
            failures.append("a rollout without gradients ends elsewhere than one with them")
        if not all(torch.equal(a, b) for a, b in zip(*passes, strict=True)):
            failures.append("two backward passes from the same start do not agree bit for bit")
        if torch.count_nonzero(passes[0][1][:, horizon:]):
            failures.append("an action after the last scored state has a gradient")
        return failures

    def positions(self, scene: GenesisCar) -> Tensor:
        """Return where the cars are after each step in a scene of either mode, shape (T, B, 2)."""
        horizon = self.max_horizon
        with torch.no_grad():
            return self._roll_out(scene, self._parameters(horizon), horizon).position

    def _costs(
        self, parameters: dict[str, list[Tensor]], horizon: int, on_step: OnStep | None = None
    ) -> Tensor:
        """Return the tracking cost of every case, shape (B,)."""
        trajectory = self._roll_out(self.scene, parameters, horizon, on_step)
        return torch.stack(
            list(tracking_costs(trajectory, _LOSS, self.scene.vehicle).values())
        ).sum(0)

    def _roll_out(
        self,
        scene: GenesisCar,
        parameters: dict[str, list[Tensor]],
        horizon: int,
        on_step: OnStep | None = None,
    ) -> Trajectory:
        """Let all cases drive from their starts."""
        actions, state, weights = parameters.values()
        scene.friction_ratio = self.cases.friction_ratio
        scene.place(self.cases.pose + state[0], self.cases.velocity + state[1])
        driver = CaseController(self.controller, actions[0], weights, self.cases.is_closed_loop)
        return rollout(
            scene,
            driver,
            self.path,
            horizon,
            arc_length_hint=self.cases.arc_length,
            on_step=on_step,
        )

    def _parameters(self, horizon: int) -> dict[str, list[Tensor]]:
        """Return the leaves that are perturbed, one row a case."""
        like = self.cases.pose
        num_cases = len(like)
        network = self.controller.network
        return {
            "actions": [self.cases.actions[:, :horizon].clone().requires_grad_()],
            "initial state": [
                torch.zeros_like(self.cases.pose, requires_grad=True),
                torch.zeros_like(self.cases.velocity, requires_grad=True),
            ],
            "network weights": [
                weight.detach().expand(num_cases, *weight.shape).clone().requires_grad_()
                for weight in network.parameters()
            ],
        }

    def _directions(self, parameters: dict[str, list[Tensor]]) -> list[Tensor]:
        """Draw for each case a direction in the kind of parameter that it is about."""
        generator = torch.Generator().manual_seed(self.seed)
        directions = []
        for name, tensors in parameters.items():
            sizes = [tensor[0].numel() for tensor in tensors]
            rows = self.cases.of_parameter(name)
            for tensor, size in zip(tensors, sizes, strict=True):
                # Tensors of one kind share its norm by their sizes, as one long vector would.
                share = _SCALES[name] * math.sqrt(size / sum(sizes))
                drawn = random_directions(tensor.detach(), generator, scale=share)
                if tensor.shape[1:] == (4,) and name == "initial state":
                    # A wheel's contact is stiff: a millimetre of height is worth a metre of way.
                    drawn[:, 2] *= _HEIGHT_SHARE
                directions.append(drawn * rows.reshape(-1, *[1] * (tensor.dim() - 1)))
        return directions


def certify_scene(
    scene: GenesisCar,
    controller: TrackingMLP,
    path: ReferencePath,
    *,
    horizon: int,
    seed: int = 0,
) -> list[DirectionalCheck]:
    """Certify a scene that is about to be trained in, in a few seconds.

    Args:
        scene: Differentiable cars, one direction each, by turns in actions, initial state and
            network weights.
        controller: The network to be trained.
        path: What it is trained on.
        horizon: Control steps.
        seed: Of starts, actions and directions.

    Returns:
        A record for each car.

    Raises:
        SimulationError: If Genesis meets a gradient that is not a number.
    """
    certifier = Certifier(
        scene,
        controller,
        path,
        # The weights come first: they are what training changes, however few cars there are.
        [("rolling", PARAMETERS[-1 - car % len(PARAMETERS)]) for car in range(scene.num_envs)],
        max_horizon=horizon,
        step_sizes=STEP_SIZES[scene.dtype],
        seed=seed,
    )
    checks = [check for row in certifier.certify(horizon) for check in row.checks]
    scene.friction_ratio = None
    return checks
