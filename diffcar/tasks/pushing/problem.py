"""What is certified about a soft body: whatever can be given to it, and the network that pushes."""

import math
from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from diffcar.controllers.mlp import with_weights
from diffcar.gradients.certificate import Case, Problem
from diffcar.gradients.finite_differences import along_gradient, random_directions
from diffcar.gradients.hops import Watch
from diffcar.losses import PushingLoss
from diffcar.sim.soft_body import GenesisSoftBody, SoftBodyState
from diffcar.tasks.pushing.controller import PushingMLP
from diffcar.tasks.pushing.rollout import PushStart, push

__all__ = ["INPUTS", "NOISY_MATERIAL", "READINGS", "input_problem", "pushing_problem", "trace_push"]

INPUTS = (
    "initial velocity",
    "muscle activation",
    "tool velocity",
    "tool angular velocity",
    "tool position",
    "tool orientation",
)
"""What can be given to a soft body and its tool."""
READINGS = (
    "particle_positions",
    "particle_velocities",
    "deformation_gradients",
    "affine_velocities",
    "tool_position",
)
"""What can be read of them."""

# Chosen for the size of each input: where truncation and rounding both are far below 1e-5, and
# small where the tool moves, whose distance field has a kink at every face of its voxels.
_STEP_SIZES = {
    "initial velocity": (1e-2, 1e-3, 1e-4),
    "muscle activation": (1e-4, 1e-5, 1e-6),
    "tool velocity": (1e-5, 1e-6, 1e-7),
    "tool angular velocity": (1e-3, 1e-4, 1e-5),
    "tool position": (1e-5, 1e-6, 1e-7),
    "tool orientation": (1e-5, 1e-6, 1e-7),
}
NOISY_MATERIAL = "corotated"
"""Genesis's default, which training is not for and no certificate hangs on."""
# The singular value decomposition of corotated stress is exact to about 1e-10 only, so differences
# need large steps, and agree with each other to 1e-4 at best.
_COROTATED_STEP_SIZES = (3e-1, 1e-1, 3e-2)
_COROTATED_TOLERANCE = 1e-3
# Float32 differences through hundreds of substeps, and through the kinks at the faces of the tool's
# voxels, are known to ten or twenty percent.
_WEIGHT_STEP_SIZES = (1e-2, 3e-3)
_WEIGHT_TOLERANCE = 0.3
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
        name: The input, one of `INPUTS`.
        horizon: Control steps; inputs other than the initial velocity are given at each.
        material: Of the body.
        reading: Field of the state that is scored, one of `READINGS`.
        tool_offset: Moves the tool's start [m].
        tolerance: Largest relative error that is right; 1e-3 at the least for `corotated`, whose
            forward pass is too noisy for closer differences.
        seed: Of inputs, directions and projection.
    """
    generator = torch.Generator().manual_seed(seed)
    values = _draw_input(scene, name, horizon, generator).requires_grad_()
    offset = scene.tensor(tool_offset)
    direction = random_directions(values, generator)
    weights: list[Tensor] = []

    def score() -> Tensor:
        _roll_out(scene, name, values, horizon, offset)
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
        step_sizes=_COROTATED_STEP_SIZES if is_noisy else _STEP_SIZES[name],
        tolerance=max(tolerance, _COROTATED_TOLERANCE) if is_corotated else tolerance,
        horizon=horizon,
        backward=scene.backward,
        go_on=lambda: _push_on(scene),
        noise=_NOISE[scene.dtype],
    )


def pushing_problem(
    scene: GenesisSoftBody,
    controller: PushingMLP,
    start: PushStart,
    *,
    horizon: int,
    seed: int = 0,
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
        step_sizes=_WEIGHT_STEP_SIZES,
        tolerance=_WEIGHT_TOLERANCE,
        is_rough=True,
        horizon=horizon,
        backward=scene.backward,
        go_on=lambda: _push_on(scene),
        noise=_NOISE[scene.dtype],
        hint="try --precision 64, more substeps, or leave the check out: --no-certify",
    )


def trace_push(
    watch: Watch,
    scene: GenesisSoftBody,
    controller: PushingMLP,
    start: PushStart,
    *,
    loss: PushingLoss,
    num_steps: int = 8,
) -> Tensor:
    """Push, and hand over the tensors on the way from the network's output to the loss.

    Args:
        watch: Takes them.
        scene: A differentiable scene.
        controller: The network.
        start: What is pushed where.
        loss: What the push is to cost.
        num_steps: Control steps.

    Returns:
        The loss.
    """

    def after_step(state: SoftBodyState) -> None:
        watch("state: particle positions", state.particle_positions)
        watch("state: tool position", state.tool_position)
        watch("centroid", state.centroid)

    pushed = push(scene, controller, start, num_steps, on_step=after_step)
    watch("cross_track_error", pushed.cross_track_error)
    watch("progress_error", pushed.progress_error)
    return loss.costs(pushed).total


def _push_velocity(scene: GenesisSoftBody) -> Tensor:
    """Return a velocity that moves the tool into the body and a little aside [m/s], shape (3,)."""
    return scene.tensor([0.8, 0.05, 0.02])


def _push_on(scene: GenesisSoftBody) -> Tensor:
    """Let the tool push for a step more; return its velocity, a leaf."""
    late = _push_velocity(scene).expand(scene.num_envs, 3).clone().requires_grad_()
    scene.move_tool(velocity=late)
    scene.step()
    return late


def _draw_input(
    scene: GenesisSoftBody, name: str, horizon: int, generator: torch.Generator
) -> Tensor:
    """Draw the values of an input about which it is varied, one row for each environment.

    Orientations are rotation vectors, since a quaternion's entries cannot be varied one by one.
    """

    def noise(*shape: int) -> Tensor:
        draw = torch.randn(scene.num_envs, *shape, generator=generator, dtype=torch.float64)
        return draw.to(scene.zeros(1))

    if name == "initial velocity":
        falling = scene.zeros(scene.num_envs, scene.num_particles, 3)
        falling[..., 0], falling[..., 2] = 0.3, -1.0
        return falling
    if name == "muscle activation":
        return 0.1 * noise(horizon, scene.num_muscles).abs()
    if name == "tool velocity":
        return _push_velocity(scene) + 0.1 * noise(horizon, 3)
    if name == "tool angular velocity":
        return 0.5 * noise(horizon, 3)
    if name == "tool position":
        times = torch.arange(horizon, dtype=torch.float64).to(scene.zeros(1))[:, None] * scene.dt
        path = scene.rest_tool_position + times * _push_velocity(scene)
        return path + 1e-3 * noise(horizon, 3)
    return 0.02 * noise(horizon, 3)


def _roll_out(
    scene: GenesisSoftBody, name: str, values: Tensor, horizon: int, offset: Tensor
) -> None:
    """Roll the scene out with an input (see `_draw_input`), the tool's start moved [m]."""
    start = scene.resting_start()
    if name in ("initial velocity", "muscle activation"):
        offset = offset - scene.tensor([0.1, 0.0, 0.0])  # out of the way
    start = replace(start, tool_position=start.tool_position + offset)
    if name == "initial velocity":
        start = replace(start, body_velocity=values)
    scene.reset(start)
    push = _push_velocity(scene).expand(scene.num_envs, 3)
    for step in range(horizon):
        if name == "muscle activation":
            scene.actuate(values[:, step])
        elif name == "tool velocity":
            scene.move_tool(velocity=values[:, step])
        elif name == "tool angular velocity":
            scene.move_tool(velocity=push, angular_velocity=values[:, step])
        elif name == "tool position":
            scene.move_tool(velocity=push, position=values[:, step])
        elif name == "tool orientation":
            scene.move_tool(velocity=push, quaternion=_quaternion(values[:, step]))
        scene.step()


def _quaternion(rotation_vector: Tensor) -> Tensor:
    """Return the quaternion (w, x, y, z) of rotation vectors that do not vanish."""
    angle = rotation_vector.norm(dim=-1, keepdim=True)
    return torch.cat([torch.cos(angle / 2), torch.sin(angle / 2) / angle * rotation_vector], -1)
