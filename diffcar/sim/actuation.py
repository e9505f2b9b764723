"""From a car's action to its joints: Ackermann geometry and the servo loops in torch."""

from dataclasses import dataclass

import torch
from torch import Tensor

from diffcar.sim.contract import CarState
from diffcar.sim.model.vehicle import Vehicle

__all__ = ["joint_targets", "servo_torques"]


@dataclass(frozen=True)
class JointTargets:
    """What the servos are asked for."""

    steering_angles: Tensor
    """Left and right steering joints [rad], shape (B, 2)."""
    wheel_speeds: Tensor
    """Left and right driven wheels [rad/s], shape (B, 2)."""


def joint_targets(action: Tensor, vehicle: Vehicle) -> JointTargets:
    """Split a bicycle's steering angle and speed over a car's wheels.

    Each front wheel is turned, and each rear wheel driven, so that all roll about one centre of
    turn on the rear axle. The steering angle is limited to what both joints can reach, the speed
    of each wheel to what its motor can be commanded. `action` is steering angle [rad] and speed
    [m/s], shape (B, 2).

    Source:
        R. Rajamani, "Vehicle Dynamics and Control", 2nd ed., 2012, section 2.2
        (Ackermann steering).
    """
    steering = action[:, 0].clamp(-vehicle.max_steering, vehicle.max_steering)
    curvature = torch.tan(steering) / vehicle.wheelbase
    half_track = curvature * vehicle.track / 2
    inner_outer = torch.stack([1 - half_track, 1 + half_track], dim=-1)
    angles = torch.atan2((curvature * vehicle.wheelbase)[:, None], inner_outer)
    speeds = action[:, 1:2] * inner_outer / vehicle.wheel_radius
    return JointTargets(angles, speeds.clamp(-vehicle.max_wheel_speed, vehicle.max_wheel_speed))


def servo_torques(targets: JointTargets, state: CarState, vehicle: Vehicle) -> Tensor:
    """Return the torques of proportional servos, limited as the model says.

    The damping of the steering is a property of its joints, where the engine integrates it
    implicitly; an explicit damping term here would be unstable at this step. Not differentiable
    where a torque reaches its limit. The torques are those of the left and right steering joint and
    the left and right driven wheel [N m], shape (B, 4).
    """
    steering = vehicle.steering_gain * (targets.steering_angles - state.steering_angles)
    drive = vehicle.drive_gain * (targets.wheel_speeds - state.wheel_speeds)
    steering = steering.clamp(-vehicle.max_steering_torque, vehicle.max_steering_torque)
    drive = drive.clamp(-vehicle.max_drive_torque, vehicle.max_drive_torque)
    return torch.cat([steering, drive], dim=-1)
