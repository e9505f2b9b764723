"""From a car's action to its joints: Ackermann geometry and the servo loops in torch."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from diffcar.base.geometry import constant
from diffcar.sim.contract import CarState
from diffcar.sim.model.vehicle import Vehicle

__all__ = ["joint_targets", "servo_torques"]


@dataclass(frozen=True)
class JointTargets:
    """What the servos are asked for."""

    steering_angles: Tensor
    """Left and right steering joints [rad], shape (B, 2)."""
    wheel_speeds: Tensor
    """Driven wheels [rad/s], as `Vehicle.driven_joints` orders them, shape (B, 2) or (B, 4)."""


def joint_targets(action: Tensor, vehicle: Vehicle) -> JointTargets:
    """Split a bicycle's steering angle and speed over a car's wheels.

    Each front wheel is turned, and each driven wheel driven, so that all roll about one centre of
    turn on the rear axle. The steering angle is limited to what both joints can reach, the speed
    of each wheel to what its motor can be commanded. `action` is steering angle [rad] and speed
    [m/s], shape (B, 2).

    Source:
        R. Rajamani, "Vehicle Dynamics and Control", 2nd ed., 2012, section 2.2
        (Ackermann steering).
    """
    return JointTargets(*_Ackermann.apply(action, vehicle))


def _radii(share: Tensor, squared: Tensor, axles: tuple[bool, ...]) -> Tensor:
    """Return how far each driven wheel is from the centre of turn, as `share` is of the rear."""
    front_or_rear = (
        torch.sqrt(torch.addcmul(squared, share, share)) if f else share for f in axles
    )
    return share if axles == (False,) else torch.cat(tuple(front_or_rear), -1)


class _Ackermann(Function):
    """Actions over the wheels, in one operation with its adjoint; once differentiable."""

    @staticmethod
    def forward(ctx: Any, action: Tensor, vehicle: Vehicle) -> tuple[Tensor, Tensor]:  # noqa: ANN401
        steering, speed = action.unsqueeze(-1).unbind(1)
        tan = torch.tan(steering.clamp(-vehicle.max_steering, vehicle.max_steering))
        # How far each wheel is from the centre of turn, over the radius of the axle's middle.
        half_track = vehicle.track / vehicle.wheelbase / 2
        sides = constant((-half_track, half_track), action.dtype, action.device)
        share = 1 + tan * sides
        radii = _radii(share, tan * tan, vehicle.driven_axles)
        asked = speed * radii / vehicle.wheel_radius
        given = asked.clamp(-vehicle.max_wheel_speed, vehicle.max_wheel_speed)
        ctx.save_for_backward(steering, speed, tan, share, radii, asked == given)
        ctx.vehicle, ctx.sides = vehicle, sides
        return torch.atan2(tan, share), given

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, by_angles: Tensor, by_speeds: Tensor) -> tuple[Tensor, None]:  # noqa: ANN401
        steering, speed, tan, share, radii, is_given = ctx.saved_tensors
        by_asked = by_speeds * is_given / ctx.vehicle.wheel_radius
        squared = tan * tan
        by_tan = by_angles / torch.addcmul(squared, share, share)
        by_radii = (by_asked * speed).split(2, -1)
        for front, own, radius in zip(
            ctx.vehicle.driven_axles, by_radii, radii.split(2, -1), strict=True
        ):
            # Of a rear wheel d radius / d tan is its side, of a front one that by the root's rule.
            slope = torch.addcmul(tan, share, ctx.sides) / radius if front else ctx.sides
            by_tan = torch.addcmul(by_tan, own, slope)
        is_free = steering.abs() <= ctx.vehicle.max_steering
        by_steering = by_tan.sum(-1, keepdim=True) * (1 + squared) * is_free
        by_speed = (by_asked * radii).sum(-1, keepdim=True)
        return torch.cat((by_steering, by_speed), -1), None


def servo_torques(targets: JointTargets, state: CarState, vehicle: Vehicle) -> Tensor:
    """Return the torques of proportional servos, limited as the model says.

    The damping of the steering is a property of its joints, where the engine integrates it
    implicitly; an explicit damping term here would be unstable at this step. Not differentiable
    where a torque reaches its limit. The torques are those of the left and right steering joint and
    the driven wheels [N m], shape (B, 4) or (B, 6).
    """
    steering = vehicle.steering_gain * (targets.steering_angles - state.steering_angles)
    gains, limits = (
        constant(own, state.speed.dtype, state.speed.device)
        for own in (vehicle.drive_gains, vehicle.max_drive_torques)
    )
    drive = gains * (targets.wheel_speeds - state.wheel_speeds)
    steering = steering.clamp(-vehicle.max_steering_torque, vehicle.max_steering_torque)
    drive = drive.clamp(-limits, limits)
    return torch.cat([steering, drive], dim=-1)
