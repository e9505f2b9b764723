"""What is certified about driving: actions, initial state and network, in four regimes.

Every car of a differentiable scene is a case of its own: it rolls, turns at 90 % of its grip,
slides or falls, and a direction in one kind of parameter is differentiated.
"""

import math
from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass

import numpy as np
import torch
from torch import Tensor

from diffcar.controllers.errors import ErrorState
from diffcar.controllers.mlp import with_weights
from diffcar.controllers.tracking_mlp import TrackingMLP
from diffcar.gradients.finite_differences import random_directions
from diffcar.gradients.hops import Watch
from diffcar.gradients.problem import Case, Problem
from diffcar.losses import TrackingLoss
from diffcar.path.reference import ReferencePath
from diffcar.sim.car import GenesisCar
from diffcar.sim.contract import CarState, Placement, Start
from diffcar.sim.model.rules import GRAVITY
from diffcar.sim.model.suited import suited
from diffcar.sim.model.vehicle import Vehicle
from diffcar.tasks.tracking.grip import known_grip
from diffcar.tasks.tracking.rollout import Trajectory, rollout

__all__ = [
    "LIMIT",
    "PARAMETERS",
    "SHORT_TOLERANCES",
    "TOLERANCES",
    "CarCases",
    "trace_drive",
    "tracking_problem",
]

LIMIT = "90 % grip"
"""The regime of cars that turn as sharply as that allows in the worst direction."""

PARAMETERS = ("actions", "initial state", "network weights")
"""What a case can be about."""
_STEP_SIZES = {torch.float64: (2e-4, 3e-5, 4e-6), torch.float32: (1e-1, 3e-2, 1e-2)}
TOLERANCES = {torch.float64: 1e-6, torch.float32: 1e-2}
"""The relative error that is right."""
SHORT_TOLERANCES = {torch.float64: 1e-5, torch.float32: 1e-1}
"""Before training; in float32 the worst of the differences, not of the gradient, are known to a
tenth only."""

# What follows is of a car of the shipped one's size; lengths grow with `Vehicle.size`, times and
# speeds with its root, so that the cases of another one are the same ones enlarged.
# A wheel's contact point that moves faster than this over the road slides [m/s].
_SLIDING_SPEED = 0.1
# Above this height over the rest position a car has left the road [m]. Sliding ones hover a few
# millimetres over it: friction in pyramids pushes a sliding contact up by friction · speed · dt.
_AIRBORNE_HEIGHT = 0.05
_DROP_HEIGHT = 600.0
_LIMIT_SPEED, _LIMIT_SHARE = 5.0, 0.9
# At which the norms of directions below were found [s].
_DT = 0.02
_ICE = 0.05
# Only what the physics carries: terms on the action itself would drown a wrong gradient. Squared
# up to centimetres: training's bend at 3 mm would cost the differences digits, not the gradient.
_LOSS = TrackingLoss(cross_track=100.0, cross_track_scale=0.02, effort=0.0, smoothness=0.0)
# Norms of the directions, so that one sweep of step sizes suits all parameters.
_HEIGHT_SHARE = 1e-3
_SCALES = {"actions": 3.0, "initial state": 1.0, "network weights": 10.0}


def tracking_problem(
    scene: GenesisCar,
    controller: TrackingMLP,
    path: ReferencePath,
    labels: Sequence[tuple[str, str]],
    *,
    horizon: int,
    step_sizes: Sequence[float] | None = None,
    tolerance: float | None = None,
    seed: int = 0,
) -> Problem:
    """Return what is to be certified about cars on a path; rolling ones decide.

    Args:
        scene: Differentiable cars, one a label.
        controller: A network of the kind that is trained; its weights are the ones perturbed.
        labels: Regime (`rolling`, `LIMIT`, `sliding` or `airborne`) and kind of parameter of each
            car.
        step_sizes: Perturbations tried along each direction; None takes some for the precision.
        tolerance: Largest relative error that is right; None takes one for precision and wheels.
    """
    cases = CarCases(scene, controller, path, labels, horizon=horizon, seed=seed)
    loss = suited(_LOSS, scene.vehicle, is_default=True)

    def go_on() -> Tensor:
        action = cases.inputs["actions"][0][:, -1].detach().clone().requires_grad_()
        scene.apply(action)
        scene.step()
        return action

    return Problem(
        inputs=cases.inputs,
        cases=[Case(*label, is_decisive=label[0] == "rolling") for label in labels],
        score=lambda: loss.costs(cases.drive(scene)).per_environment,
        directions=cases.draw_directions(),
        step_sizes=step_sizes or _STEP_SIZES[scene.dtype],
        tolerance=tolerance or _tolerance(scene),
        horizon=horizon,
        backward=scene.backward,
        go_on=go_on,
        shares=cases.shares,
        hint="`diffcar check-grad` tells more; --no-certify trains all the same",
    )


def _tolerance(scene: GenesisCar) -> float:
    """Return the error that certifies: a hundred times more for wheels that rest on a line.

    Genesis finds one end of a line's contact exactly and the other by tilting the wheel, with a
    depth too small by a millionth of a metre; so the physics itself jumps where the ends swap.
    """
    on_line = scene.vehicle.wheel_shape in ("cylinder", "capsule")
    return TOLERANCES[scene.dtype] * (100.0 if on_line and scene.dtype == torch.float64 else 1)


@dataclass
class CarCases:
    """Cars that roll, slide or fall beside a path, and what of them is perturbed.

    Rolling cars steer and accelerate well within the grip of their tyres; those at the limit hold
    5 m/s (of a car of the shipped one's size) in a turn that takes 90 % of it; sliding ones come
    sideways onto a road with a twentieth of the friction and brake and accelerate at full torque;
    airborne ones fall.
    """

    scene: GenesisCar
    """The cars, for their limits; they may drive in another scene, too."""
    controller: TrackingMLP
    """The network, in closed loop where its weights are perturbed."""
    path: ReferencePath
    """What the cars are beside."""
    labels: Sequence[tuple[str, str]]
    """Regime and kind of parameter of each car."""
    _: KW_ONLY
    horizon: int
    """Control steps of a drive."""
    seed: int
    """Of starts, actions and directions."""

    def __post_init__(self) -> None:
        self._seen: list[tuple[Tensor, Tensor]] = []
        self._draw(torch.Generator().manual_seed(self.seed))
        self.inputs: dict[str, list[Tensor]] = {
            "actions": [self._actions.clone().requires_grad_()],
            "initial state": [
                torch.zeros_like(self._pose, requires_grad=True),
                torch.zeros_like(self._velocity, requires_grad=True),
            ],
            "network weights": [
                weight.detach().expand(len(self.labels), *weight.shape).clone().requires_grad_()
                for weight in self.controller.network.parameters()
            ],
        }
        """The leaves of each kind of parameter, one row a car; the state's are changes of it."""

    def are_about(self, name: str) -> Tensor:
        """Return which cars are in a regime, or about a kind of parameter, shape (B,)."""
        return torch.tensor([name in label for label in self.labels], device=self.scene.device)

    def drive(self, scene: GenesisCar) -> Trajectory:
        """Let all cars drive from their starts, in a scene of either mode."""
        (actions,), (pose, velocity), weights = self.inputs.values()
        before = scene.variations
        scene.variations = {"friction_ratio": self._friction_ratio}
        scene.place(self._pose + pose, self._velocity + velocity)
        scene.variations = before
        self._seen.clear()
        rows = self.are_about("network weights").nonzero()[:, 0]
        driver = _CaseController(self.controller, actions, weights, rows)
        start = Start(None, self._arc_length)
        return rollout(scene, driver, self.path, start, self.horizon, on_step=self._look)

    def shares(self) -> Tensor:
        """Return how much of the last drive each car was in its regime, shape (B,)."""
        in_air, in_slide = (
            torch.stack(own).double().mean(0) for own in zip(*self._seen, strict=True)
        )
        # Wheels that roll about a centre of turn are not as fast as the car: they do not slide.
        in_slide = torch.where(self.are_about(LIMIT), 0.0, in_slide)
        airborne, sliding = self.are_about("airborne"), self.are_about("sliding")
        rolling = 1 - in_air - in_slide
        return torch.where(airborne, in_air, torch.where(sliding, in_slide, rolling))

    def draw_directions(self) -> list[Tensor]:
        """Draw for each car a direction in the kind of parameter that it is about."""
        generator = torch.Generator().manual_seed(self.seed)
        directions = []
        for name, tensors in self.inputs.items():
            sizes = [tensor[0].numel() for tensor in tensors]
            cars = self.are_about(name)
            for tensor, size in zip(tensors, sizes, strict=True):
                # Tensors of one kind share its norm by their sizes, as one long vector would.
                share = _SCALES[name] * math.sqrt(size / sum(sizes))
                drawn = random_directions(tensor.detach(), generator, scale=share)
                if tensor.shape[1:] == (4,) and name == "initial state":
                    # A wheel's contact is stiff: a millimetre of height is worth a metre of way.
                    drawn[:, 2] *= _HEIGHT_SHARE
                if name != "network weights":
                    drawn = drawn * self._units(tensor.shape[-1])
                directions.append(drawn * cars.reshape(-1, *[1] * (tensor.dim() - 1)))
        return directions

    def _units(self, num_columns: int) -> Tensor:
        """Return by how much actions (2), poses (4) or velocities (12 or more) are larger."""
        size, root = self.scene.vehicle.size, self.scene.vehicle.root_size
        # Wheels sink in by the square of the time that their contacts take, which is two steps.
        stiff = min(1.0, self.scene.dt / (_DT * root))
        units = {2: [1.0, root], 4: [size, size, size * stiff**2, 1.0]}
        velocity = [root, root, root * stiff, stiff / root, stiff / root]
        velocity += [1 / root] * (num_columns - len(velocity))
        return self.scene.tensor(units.get(num_columns, velocity))

    def _look(self, state: CarState, errors: ErrorState) -> None:
        """Remember which cars have left the road, to either side, and which slide over it."""
        vehicle = self.scene.vehicle
        airborne = (state.qpos[:, 2].detach() - self.scene.rest_height).abs()
        airborne = airborne > _AIRBORNE_HEIGHT * vehicle.size
        along = state.speed[:, None] - vehicle.wheel_radius * state.wheel_speeds
        across = state.lateral_velocity + vehicle.rear_axle_x * state.yaw_rate
        slip = (along.square() + across.square()[:, None]).amax(-1).sqrt()
        slides = slip > _SLIDING_SPEED * vehicle.root_size
        self._seen.append((airborne, slides.detach() & ~airborne))

    def _draw(self, generator: torch.Generator) -> None:
        """Draw starts beside the path and gentle or violent actions."""
        scene, path, num_cars = self.scene, self.path, len(self.labels)
        size, root = scene.vehicle.size, scene.vehicle.root_size

        def uniform(low: float, high: float, *shape: int) -> Tensor:
            draw = torch.rand(num_cars, *shape, generator=generator, dtype=torch.float64)
            return scene.tensor(low + (high - low) * draw)

        sliding, airborne = self.are_about("sliding"), self.are_about("airborne")
        arc_length = uniform(0.0, path.length if path.closed else 0.5 * path.length)
        point = path.sample(arc_length)
        offset = size * uniform(-0.05, 0.05)
        normal = torch.stack([-torch.sin(point.heading), torch.cos(point.heading)], -1)
        drift = uniform(0.5, 1.2) * torch.sign(uniform(-1.0, 1.0))
        yaw = point.heading + torch.where(sliding, drift, uniform(-0.05, 0.05))
        height = scene.rest_height + torch.where(airborne, _DROP_HEIGHT * size, 0.0)
        position = point.position + offset[:, None] * normal
        speed = torch.where(sliding, uniform(3.0, 4.0), uniform(1.5, 2.5))
        speed = root * torch.where(self.are_about(LIMIT), _LIMIT_SPEED, speed)
        velocity = scene.zeros(num_cars, scene.entity.n_dofs)
        velocity[:, 0] = speed * torch.cos(point.heading)
        velocity[:, 1] = speed * torch.sin(point.heading)
        velocity[:, 5] = speed * point.curvature + (
            torch.where(sliding, uniform(-1.0, 1.0), 0.0) / root
        )
        velocity[:, scene.wheel_dofs] = (speed / scene.vehicle.wheel_radius)[:, None]
        time = scene.dt / root * torch.arange(self.horizon, dtype=scene.dtype, device=scene.device)
        phase = uniform(0.0, 6.3, 1)
        violence = sliding[:, None].to(scene.dtype)
        amplitude = (0.2 + 0.5 * violence) * scene.vehicle.max_steering
        steering = amplitude * torch.sin(2.5 * time + phase)
        change = root * (0.2 + 6.0 * violence)
        commanded = speed[:, None] + change * torch.cos(2.0 * time + phase)
        limit, side = self.are_about(LIMIT)[:, None], uniform(-1.0, 1.0, 1).sign()
        limit_speed = _LIMIT_SPEED * root
        turn = math.atan(
            scene.vehicle.wheelbase * _LIMIT_SHARE * _lateral_grip(scene.vehicle) / limit_speed**2
        )
        steering = torch.where(limit, side * turn, steering)
        commanded = torch.where(limit, limit_speed, commanded)
        self._pose = torch.cat([position, height[:, None], yaw[:, None]], -1)
        self._velocity, self._arc_length = velocity, arc_length
        self._actions = torch.stack([steering, commanded], -1)
        self._friction_ratio = torch.where(sliding, _ICE, 1.0).to(scene.dtype)


def _lateral_grip(vehicle: Vehicle) -> float:
    """Return what a car holds sideways [m/s²]: as measured, or what an ideal one would."""
    if (grip := known_grip(vehicle)) is not None:
        return float(np.interp(_LIMIT_SPEED * vehicle.root_size, grip.speeds, grip.lateral))
    # Across the edges of the friction pyramid.
    return vehicle.friction * GRAVITY / math.sqrt(2)


class _CaseController:
    """Plays back actions (B, T, 2) in some cars and closes the loop in the others, the rows."""

    def __init__(
        self, controller: TrackingMLP, actions: Tensor, weights: Sequence[Tensor], rows: Tensor
    ) -> None:
        self.rows, self.past_commands = rows, controller.past_commands
        self.policy = with_weights(controller, [weight[rows] for weight in weights])
        self.actions = iter(actions.unbind(1))

    def __call__(self, state: CarState, errors: ErrorState) -> Tensor:
        """Return the actions of the next step, shape (B, 2)."""
        action = next(self.actions)
        if not len(self.rows):
            return action
        own = (state.select(self.rows), errors.select(self.rows))
        return action.index_copy(0, self.rows, self.policy(*own))


def trace_drive(
    watch: Watch,
    scene: GenesisCar,
    controller: TrackingMLP,
    path: ReferencePath,
    start: Placement,
    *,
    loss: TrackingLoss,
) -> Tensor:
    """Drive for eight steps, handing over the tensors on the way, and return the loss."""

    def after_step(state: CarState, errors: ErrorState) -> None:
        # The command is what the entity was handed: the last tensors before Genesis.
        for name, tensor in scene.last_command.items():
            watch(name, tensor)
        watch("state: qpos", state.qpos)
        watch("state: dofs_velocity", state.dofs_velocity)
        watch("position", state.position)
        watch("error state: cross_track_error", errors.cross_track_error)
        watch("error state: heading_error", errors.heading_error)

    return loss.costs(rollout(scene, controller, path, start, 8, on_step=after_step)).total
