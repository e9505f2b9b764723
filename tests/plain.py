"""A control step in plain torch, formula by formula: what fused operations must agree with."""

import torch
from torch import Tensor

from diffcar.base.geometry import rotate_into_body
from diffcar.path.reference import PathPoint, ReferencePath
from diffcar.sim.model.vehicle import Vehicle


def sample(path: ReferencePath, s: Tensor) -> PathPoint:
    """Evaluate a path's cubics one by one, straight on beyond the ends of an open one."""
    num_pieces = len(path.grid) - 1
    step = path.length / num_pieces
    lap = torch.floor(s / path.length).detach() if path.closed else torch.zeros_like(s)
    within = s - lap * path.length
    piece = torch.floor(within.detach() / step)
    piece = piece.clamp(0 if path.closed else -1, num_pieces - path.closed)
    t = (within - piece * step)[..., None]
    table = torch.from_numpy(path.coefficients)
    a, b, c, d = table[piece.long()].unbind(-1)
    values = ((a * t + b) * t + c) * t + d
    turn = float(path.samples[-1, 2] - path.samples[0, 2])
    return PathPoint(values[..., :2], values[..., 2] + lap * turn, values[..., 3], values[..., 4])


def project(path: ReferencePath, position: Tensor, s: Tensor, iterations: int = 3) -> Tensor:
    """Do Newton steps on the way along, of which autograd sees the last."""
    for remaining in range(iterations, -1, -1):
        with torch.set_grad_enabled(remaining == 0):
            s = s.detach() + _newton_step(path, position, s.detach())
    return s


def _newton_step(path: ReferencePath, position: Tensor, s: Tensor) -> Tensor:
    with torch.enable_grad():
        at = s.clone().requires_grad_()
        point = sample(path, at)
        x, y, heading = *point.position.unbind(-1), point.heading
        rates = [torch.autograd.grad(v.sum(), at, retain_graph=True)[0] for v in (x, y, heading)]
    here = PathPoint(*(value.detach() for value in vars(point).values()))
    along, across = rotate_into_body(position - here.position, here.heading)
    forward, _ = rotate_into_body(torch.stack(rates[:2], -1), here.heading)
    return (along / (forward - rates[2] * across).clamp_min(0.2)).clamp(-1.0, 1.0)


def nearest(path: ReferencePath, position: Tensor, hint: Tensor) -> tuple[Tensor, ...]:
    """Project, then sample, then look to the left."""
    s = project(path, position, hint)
    point = sample(path, s)
    _, left = rotate_into_body(position - point.position, point.heading)
    return s, left, point.heading, point.curvature, point.speed


def yaw_from_quaternion(quaternion: Tensor) -> Tensor:
    """Return the heading of the rotated x axis, seen from above [rad], in (-pi, pi], shape (...,).

    Homogeneous in the quaternion (..., 4), so a norm that drifts from one does not turn the
    heading. Not differentiable where the x axis points straight up or down.
    """
    w, x, y, z = quaternion.unbind(-1)
    return torch.atan2(2 * (w * z + x * y), w * w + x * x - y * y - z * z)


def describe(qpos: Tensor, velocity: Tensor) -> tuple[Tensor, ...]:
    """Return what a car's state reports, of one with the shipped car's joints."""
    yaw = yaw_from_quaternion(qpos[:, 3:7])
    forward, left = rotate_into_body(velocity[:, :2], yaw)
    joints = qpos[:, 7:9], velocity[:, 10:12]
    return qpos[:, :2], yaw, forward, left, velocity[:, 5], *joints


def joint_targets(action: Tensor, vehicle: Vehicle) -> tuple[Tensor, Tensor]:
    """Return steering angles and wheel speeds of the two sides by their radii of turn."""
    tan = torch.tan(action[:, 0].clamp(-vehicle.max_steering, vehicle.max_steering))
    half = tan * vehicle.track / vehicle.wheelbase / 2
    shares = torch.stack([1 - half, 1 + half], -1)
    of_front = (shares**2 + tan[:, None] ** 2).sqrt()
    radii = {"rear": [shares], "front": [of_front], "all": [of_front, shares]}[vehicle.drive]
    speeds = action[:, 1:] * torch.cat(radii, -1) / vehicle.wheel_radius
    limit = vehicle.max_wheel_speed
    return torch.atan2(tan[:, None], shares), speeds.clamp(-limit, limit)
