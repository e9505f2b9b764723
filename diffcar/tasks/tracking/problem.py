"""The certificate: the gradient that training uses against finite differences, many at once.

Every environment of a differentiable scene is a case of its own: a regime, a kind of parameter and
a random direction. One backward pass and two rollouts a step size therefore check all of them.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from typing import cast

import torch
from torch import Tensor

from diffcar.controllers.errors import ErrorState
from diffcar.controllers.mlp import MLPController
from diffcar.controllers.tracking_mlp import TrackingMLP
from diffcar.gradients.certificate import CertificateRow
from diffcar.gradients.finite_differences import check_environments, random_directions
from diffcar.gradients.hops import Hop, HopRecorder
from diffcar.gradients.slopes import STEP_SIZES, DirectionalCheck
from diffcar.losses import TrackingLoss
from diffcar.path.reference import ReferencePath
from diffcar.sim.backend import translated_errors
from diffcar.sim.car import GenesisCar
from diffcar.sim.contract import CarState, Placement, Start
from diffcar.tasks.tracking.regimes import PARAMETERS, Cases, draw_cases
from diffcar.tasks.tracking.rollout import Trajectory, rollout

__all__ = ["CaseController", "Certifier", "certify_scene", "trace_hops"]


class CaseController:
    """Plays back actions in some environments and closes the loop in the others.

    Args:
        controller: The network and what it observes.
        actions: What is played back, shape (B, T, 2).
        weights: The network's weights in each environment, in the order of its parameters.
        is_closed_loop: Which environments the network drives, shape (B,).
    """

    name = "certificate"

    def __init__(
        self,
        controller: TrackingMLP,
        actions: Tensor,
        weights: Sequence[Tensor],
        is_closed_loop: Tensor,
    ) -> None:
        self.rows = is_closed_loop.nonzero()[:, 0]
        network, own = controller.network, [weight[self.rows] for weight in weights]

        def forward(inputs: Tensor) -> Tensor:
            # The controller stacks what it sees and its mirror image: two rows an environment.
            both = inputs.reshape(2, len(self.rows), -1).transpose(0, 1)
            return network.forward_with(own, both).transpose(0, 1).flatten(0, 1)

        self.policy = TrackingMLP(
            cast(MLPController, forward), controller.observer, controller.vehicle
        )
        self.actions = actions
        self.step = 0

    def __call__(self, state: CarState, errors: ErrorState) -> Tensor:
        """Return the actions of the next step, shape (B, 2)."""
        action = self.actions[:, self.step]
        self.step += 1
        if not len(self.rows):
            return action
        own = (state.select(self.rows), errors.select(self.rows))
        return action.index_copy(0, self.rows, self.policy(*own))


OnStep = Callable[[CarState, ErrorState], None]

# Only what the physics carries: terms on the action itself would drown a wrong gradient. Squared
# up to centimetres: training's bend at 3 mm would cost the differences digits, not the gradient.
_LOSS = TrackingLoss(cross_track=100.0, cross_track_scale=0.02, effort=0.0, smoothness=0.0)
# Norms of the directions, so that one sweep of step sizes suits all parameters.
_HEIGHT_SHARE = 1e-3
_SCALES = {"actions": 3.0, "initial state": 1.0, "network weights": 10.0}


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
        return _LOSS.costs(trajectory).per_environment

    def _roll_out(
        self,
        scene: GenesisCar,
        parameters: dict[str, list[Tensor]],
        horizon: int,
        on_step: OnStep | None = None,
    ) -> Trajectory:
        """Let all cases drive from their starts."""
        actions, state, weights = parameters.values()
        scene.variations = {"friction_ratio": self.cases.friction_ratio}
        scene.place(self.cases.pose + state[0], self.cases.velocity + state[1])
        driver = CaseController(self.controller, actions[0], weights, self.cases.is_closed_loop)
        return rollout(
            scene,
            driver,
            self.path,
            Start(None, self.cases.arc_length),
            horizon,
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
    scene.variations = {}
    return checks


def trace_hops(
    scene: GenesisCar,
    controller: TrackingMLP,
    path: ReferencePath,
    start: Placement,
    *,
    loss_of: Callable[[Trajectory], Tensor],
    num_steps: int = 8,
) -> list[Hop]:
    """Roll out, backpropagate, and report what was found at each hop of the first step.

    Args:
        scene: A differentiable scene; left rewound.
        controller: The network; its gradients are cleared.
        path: The reference.
        start: Where the cars begin.
        loss_of: Returns the scalar loss of the rollout.
        num_steps: Length of the rollout.

    Returns:
        The hops in forward order, then the network's weights.
    """
    recorder = HopRecorder(controller.network, "MLP output (and mirror image)")
    watch = recorder.watch

    def after_step(state: CarState, errors: ErrorState) -> None:
        # The command is what the entity was handed: the last tensors before Genesis.
        for name, tensor in scene.last_command.items():
            watch(name, tensor)
        watch("state: qpos", state.qpos)
        watch("state: dofs_velocity", state.dofs_velocity)
        watch("position", state.position)
        watch("error state: cross_track_error", errors.cross_track_error)
        watch("error state: heading_error", errors.heading_error)

    try:
        trajectory = rollout(scene, controller, path, start, num_steps, on_step=after_step)
    finally:
        recorder.stop()
    loss = loss_of(trajectory)
    watch("loss", loss)
    if loss.requires_grad:
        scene.backward(loss)
    return recorder.report()
