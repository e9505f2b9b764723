"""What is certified about a soft body: whatever can be given to it, and the network that pushes."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from diffcar.controllers.mlp import with_weights
from diffcar.gradients.finite_differences import along_gradient, random_directions
from diffcar.gradients.problem import Case, Problem
from diffcar.sim.soft_body import GenesisSoftBody
from diffcar.tasks.pushing.controller import PushingMLP
from diffcar.tasks.pushing.rollout import PushStart, push

__all__ = ["INPUTS", "NOISY_MATERIAL", "READINGS", "input_problem", "pushing_problem"]

READINGS = (
    "particle_positions",
    "particle_velocities",
    "deformation_gradients",
    "affine_velocities",
    "tool_position",
)
"""What can be read of body and tool."""
NOISY_MATERIAL = "corotated"
"""Genesis's default, which training is not for and no certificate hangs on."""
# The singular value decomposition of corotated stress is exact to about 1e-10 only, so differences
# need large steps, and agree with each other to 1e-4 at best.
_COROTATED_STEP_SIZES = (3e-1, 1e-1, 3e-2)
_COROTATED_TOLERANCE = 1e-3
# There are kinks at every face of the tool's voxels. Steps in float64 are too short to meet them;
# float32 needs long ones, whose differences are known to ten or twenty percent.
_WEIGHT_STEP_SIZES = {torch.float64: (1e-5, 1e-6, 1e-7), torch.float32: (1e-2, 3e-3)}
_WEIGHT_TOLERANCES = {torch.float64: 1e-4, torch.float32: 0.3}
_SCALE_WITHIN = 3.0
_WEIGHT_CASES = (
    Case("along the gradient", "network weights"),
    *[Case("within a tensor", "network weights", is_decisive=False)] * 2,
)
# Threads add up grid masses in any order, so a last digit may differ.
_NOISE = {torch.float64: 1e-8, torch.float32: 1e-3}


def input_problem(
    scene: GenesisSoftBody,
    name: str,
    horizon: int,
    *,
    material: str = "elastic",
    reading: str = "particle_positions",
    tool_offset: Sequence[float] = (0.0, 0.0, 0.0),
    tolerance: float = 1e-5,
    seed: int = 0,
) -> Problem:
    """Return what is to be certified about an input: a random projection of the final state.

    Args:
        scene: A differentiable scene in float64; left rewound.
        name: One of `INPUTS`; those other than the initial velocity are given at each step.
        reading: Field of the state that is scored, one of `READINGS`.
        tool_offset: Moves the tool's start [m].
        tolerance: Largest relative error that is right; 1e-3 at the least for `corotated`, whose
            forward pass is too noisy for closer differences.
    """
    generator = torch.Generator().manual_seed(seed)
    given = _INPUTS[name]

    def noise(*shape: int) -> Tensor:
        draw = torch.randn(scene.num_envs, *shape, generator=generator, dtype=torch.float64)
        return draw.to(scene.zeros(1))

    values = given.draw(scene, horizon, noise).requires_grad_()
    offset = scene.tensor(tool_offset)
    direction = random_directions(values, generator)
    weights: list[Tensor] = []

    def score() -> Tensor:
        given.roll_out(scene, values, horizon, offset)
        read = getattr(scene.read(), reading).flatten(1)
        if not weights:
            draw = torch.randn(read.shape, generator=generator, dtype=torch.float64)
            weights.append((draw / math.sqrt(read.shape[1])).to(read))
        return (read * weights[0]).sum(1)

    is_corotated = material == NOISY_MATERIAL
    is_noisy = is_corotated and name == "initial velocity"
    return Problem(
        inputs={name: [values]},
        cases=[Case(material, name, is_decisive=not is_corotated)] * scene.num_envs,
        score=score,
        directions=[direction],
        step_sizes=_COROTATED_STEP_SIZES if is_noisy else given.step_sizes,
        tolerance=max(tolerance, _COROTATED_TOLERANCE) if is_corotated else tolerance,
        horizon=horizon,
        backward=scene.backward,
        go_on=lambda: _push_on(scene),
        noise=_NOISE[scene.dtype],
    )


def pushing_problem(
    scene: GenesisSoftBody, controller: PushingMLP, start: PushStart, *, horizon: int, seed: int
) -> Problem:
    """Return what is to be certified about a network that pushes, before it is trained.

    The score is of all bodies together, whose many kinks average out. One direction goes along the
    gradient, where a difference stands out most from rounding, and decides; the others are random
    within one tensor each, which finds a tensor whose gradient is wrong or missing, but is known
    less well.

    Args:
        scene: A differentiable scene; left rewound.
        controller: The network whose weights are perturbed.
        start: What is pushed where.
        horizon: Control steps.
        seed: Of the random directions.
    """
    generator = torch.Generator().manual_seed(seed)
    weights = [
        weight.detach().expand(len(_WEIGHT_CASES), *weight.shape).clone().requires_grad_()
        for weight in controller.network.parameters()
    ]

    def push_with(own: Sequence[Tensor]) -> Tensor:
        of_all = [weight.expand(scene.num_envs, *weight.shape) for weight in own]
        pushed = push(scene, with_weights(controller, of_all), start, horizon)
        return (pushed.cross_track_error.square() + pushed.progress_error.square()).mean()

    def score() -> Tensor:
        if torch.is_grad_enabled():
            # Unperturbed rows are the same, so one push, by their mean, differentiates them all.
            means = [own[0].detach() + (own - own.detach()).mean(0) for own in weights]
            return push_with(means).expand(len(_WEIGHT_CASES))
        rows = zip(*(weight.unbind() for weight in weights), strict=True)
        return torch.stack([push_with(row) for row in rows])

    def directions(gradients: Sequence[Tensor]) -> list[Tensor]:
        chosen = along_gradient(gradients)
        for row in range(1, len(_WEIGHT_CASES)):
            for place, direction in enumerate(chosen):
                within = random_directions(direction[:1], generator, scale=_SCALE_WITHIN)
                direction[row] = within[0] if place == row - 1 else 0.0
        return chosen

    return Problem(
        inputs={"network weights": weights},
        cases=_WEIGHT_CASES,
        score=score,
        directions=directions,
        step_sizes=_WEIGHT_STEP_SIZES[scene.dtype],
        tolerance=_WEIGHT_TOLERANCES[scene.dtype],
        is_rough=True,
        horizon=horizon,
        backward=scene.backward,
        go_on=lambda: _push_on(scene),
        noise=_NOISE[scene.dtype],
        hint="try --precision 64, more substeps, or leave the check out: --no-certify",
    )


def _push_velocity(scene: GenesisSoftBody) -> Tensor:
    """Return a velocity that moves the tool into the body and a little aside [m/s], shape (3,)."""
    return scene.tensor([0.8, 0.05, 0.02])


def _push_on(scene: GenesisSoftBody) -> Tensor:
    """Let the tool push for a step more; return its velocity, a leaf."""
    late = _push_velocity(scene).expand(scene.num_envs, 3).clone().requires_grad_()
    scene.move_tool(velocity=late)
    scene.step()
    return late


@dataclass(frozen=True)
class _Input:
    """Something that can be given to a soft body or its tool.

    Step sizes are chosen for the size of each: where truncation and rounding both are far below
    1e-5, and small where the tool moves, whose distance field has a kink at every face of its
    voxels.
    """

    step_sizes: tuple[float, ...]
    draw: Callable[[GenesisSoftBody, int, Callable[..., Tensor]], Tensor]
    """Returns values about which it is varied over so many steps, a row an environment."""
    give: Callable[[GenesisSoftBody, Tensor], None] | None = None
    """Gives the values of a step; None where all are of the start."""
    tool_starts_at: float = 0.0
    """Moves the tool's start along x [m]: out of the way where it is not to push."""

    def roll_out(
        self, scene: GenesisSoftBody, values: Tensor, horizon: int, offset: Tensor
    ) -> None:
        """Roll the scene out with such values, the tool's start moved [m]."""
        start = scene.resting_start()
        offset = offset + scene.tensor([self.tool_starts_at, 0.0, 0.0])
        start = replace(start, tool_position=start.tool_position + offset)
        scene.reset(start if self.give else replace(start, body_velocity=values))
        for step in range(horizon):
            if self.give:
                self.give(scene, values[:, step])
            scene.step()


def _falling(scene: GenesisSoftBody, horizon: int, noise: Callable[..., Tensor]) -> Tensor:
    """Return particles' velocities that let the body fall [m/s]."""
    return scene.tensor([0.3, 0.0, -1.0]).repeat(scene.num_envs, scene.num_particles, 1)


def _on_the_way(scene: GenesisSoftBody, horizon: int, noise: Callable[..., Tensor]) -> Tensor:
    """Return positions of a tool that moves into the body [m]."""
    times = scene.tensor(range(horizon))[:, None] * scene.dt
    return scene.rest_tool_position + times * _push_velocity(scene) + 1e-3 * noise(horizon, 3)


def _pushing(scene: GenesisSoftBody, **how: Tensor) -> None:
    """Command what the tool does while it moves into the body."""
    scene.move_tool(velocity=_push_velocity(scene).expand(scene.num_envs, 3), **how)


def _quaternion(rotation_vector: Tensor) -> Tensor:
    """Return the quaternion (w, x, y, z) of rotation vectors that do not vanish."""
    angle = rotation_vector.norm(dim=-1, keepdim=True)
    return torch.cat([torch.cos(angle / 2), torch.sin(angle / 2) / angle * rotation_vector], -1)


_INPUTS = {
    "initial velocity": _Input((1e-2, 1e-3, 1e-4), _falling, tool_starts_at=-0.1),
    "muscle activation": _Input(
        (1e-4, 1e-5, 1e-6),
        lambda scene, horizon, noise: 0.1 * noise(horizon, scene.num_muscles).abs(),
        lambda scene, own: scene.actuate(own),
        tool_starts_at=-0.1,
    ),
    "tool velocity": _Input(
        (1e-5, 1e-6, 1e-7),
        lambda scene, horizon, noise: _push_velocity(scene) + 0.1 * noise(horizon, 3),
        lambda scene, own: scene.move_tool(velocity=own),
    ),
    "tool angular velocity": _Input(
        (1e-3, 1e-4, 1e-5),
        lambda scene, horizon, noise: 0.5 * noise(horizon, 3),
        lambda scene, own: _pushing(scene, angular_velocity=own),
    ),
    "tool position": _Input(
        (1e-5, 1e-6, 1e-7), _on_the_way, lambda scene, own: _pushing(scene, position=own)
    ),
    # As rotation vectors, since a quaternion's entries cannot be varied one by one.
    "tool orientation": _Input(
        (1e-5, 1e-6, 1e-7),
        lambda scene, horizon, noise: 0.02 * noise(horizon, 3),
        lambda scene, own: _pushing(scene, quaternion=_quaternion(own)),
    ),
}
INPUTS = tuple(_INPUTS)
"""What can be given to a soft body and its tool."""
