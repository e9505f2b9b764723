"""What can be given to a soft body and its tool, drawn at random and played back."""

from dataclasses import replace

import torch
from torch import Tensor

from diffcar.sim.soft_body import GenesisSoftBody

__all__ = ["INPUTS", "draw_input", "roll_out"]

INPUTS = (
    "initial velocity",
    "muscle activation",
    "tool velocity",
    "tool angular velocity",
    "tool position",
    "tool orientation",
)


def draw_input(
    scene: GenesisSoftBody, name: str, horizon: int, generator: torch.Generator
) -> Tensor:
    """Draw the values of an input about which it is varied.

    Args:
        scene: Its shapes and number format.
        name: The input, one of `INPUTS`.
        horizon: Control steps.
        generator: Source of randomness.

    Returns:
        One row for each environment; orientations as rotation vectors, since the entries of a
        quaternion cannot be varied one by one.
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


def roll_out(
    scene: GenesisSoftBody, name: str, values: Tensor, horizon: int, offset: Tensor
) -> None:
    """Roll the scene out with an input.

    Args:
        scene: Left at the end of the rollout.
        name: The input, one of `INPUTS`.
        values: Of the input (see `draw_input`).
        horizon: Control steps.
        offset: Moves the tool's start [m], shape (3,).
    """
    start = scene.resting_start()
    if name in ("initial velocity", "muscle activation"):
        out_of_the_way = offset - torch.tensor([0.1, 0.0, 0.0]).to(offset)
        start = replace(start, tool_position=start.tool_position + out_of_the_way)
        if name == "initial velocity":
            start = replace(start, body_velocity=values)
    else:
        start = replace(start, tool_position=start.tool_position + offset)
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


def _push_velocity(scene: GenesisSoftBody) -> Tensor:
    """Return a velocity that moves the tool into the body and a little aside [m/s]."""
    return torch.tensor([0.8, 0.05, 0.02], dtype=scene.dtype, device=scene.device)


def _quaternion(rotation_vector: Tensor) -> Tensor:
    """Return the quaternion (w, x, y, z) of rotation vectors that do not vanish."""
    angle = rotation_vector.norm(dim=-1, keepdim=True)
    return torch.cat([torch.cos(angle / 2), torch.sin(angle / 2) / angle * rotation_vector], -1)
