"""How a car turns by its steering: measured on steady turns."""

import math
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from diffcar.controllers.steering_table import SteeringTable
from diffcar.path.grip import GripDiagram
from diffcar.sim.contract import CarScene, Placement
from diffcar.sim.model.measured import fastest_measured

__all__ = ["NUM_STEERING_CARS", "measure_steering"]

# Shares of the fastest that is measured.
_SPEEDS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 1.0)
# Evenly spaced in their logarithm; below the least, a car turns as it is steered [rad].
_NUM_ANGLES, _LEAST_ANGLE = 40, 0.008
NUM_STEERING_CARS = len(_SPEEDS) * _NUM_ANGLES
"""What the scene of a measurement must have."""

_RAMP, _SETTLE, _MEASURE = 0.5, 1.0, 3.0
# Of the rear axle, sideways over ahead, up to which it holds.
_MAX_SLIP = 0.3
_TOO_MUCH = 1.2


def measure_steering(
    scene: CarScene, grip: GripDiagram, *, on_step: Callable[[float], None] = lambda fraction: None
) -> SteeringTable:
    """Return the lateral accelerations of a car that turns steadily at constant speed.

    At eight speeds cars turn the steering to forty angles, within half a second (of a car of the
    shipped one's size; times grow with its root). A second later their curvature is averaged for
    three seconds, of which those count that make up whole quarter turns, where there is one:
    friction pyramids lie along the world's axes, so what is held depends on the compass. A car
    whose rear axle breaks away has held nothing, nor have those that steer further, and it is let
    go before it turns over; nor are cars steered that by their wheels would need a fifth more than
    the car's grip.

    Args:
        scene: `NUM_STEERING_CARS` plain cars, in the engine that they are to be driven in.
        grip: Of the car, in the same engine.
        on_step: Called after each step with the fraction that is done.
    """
    car, dt = scene.vehicle, scene.dt
    speeds = fastest_measured(car) * torch.tensor(_SPEEDS, dtype=torch.float64)
    ends = math.log(_LEAST_ANGLE), math.log(car.max_steering)
    angles = torch.linspace(*ends, _NUM_ANGLES, dtype=torch.float64).exp()
    grid = torch.cartesian_prod(speeds, angles).to(scene.device, scene.dtype)
    speed, steering = grid.unbind(-1)
    scene.reset(Placement.at_origin(speed))
    root = car.root_size
    ramp, settled = _RAMP * root, (_RAMP + _SETTLE) * root
    num_steps, num_settled = round((settled + _MEASURE * root) / dt), round(settled / dt)
    turns, curvatures = [], []
    most = torch.as_tensor(np.interp(speed.cpu(), grip.speeds, grip.lateral)).to(speed)
    is_held = speed**2 * torch.tan(steering) / car.wheelbase < _TOO_MUCH * most
    for step in range(num_steps):
        state = scene.read()
        now = state.speed.nan_to_num()
        command = now + (2 / root * (speed - now)).clamp(-1, 1) * car.speed_increment
        action = torch.stack([min(1.0, (step + 1) * dt / ramp) * steering, command], -1)
        scene.apply(action.where(is_held[:, None], 0.0))
        scene.step()
        after = scene.read()
        aside = after.lateral_velocity + car.rear_axle_x * after.yaw_rate
        is_held &= aside.abs() < _MAX_SLIP * speed
        if step >= num_settled:
            turns.append(after.yaw_rate * dt)
            curvatures.append(after.yaw_rate / after.speed)
        on_step((step + 1) / num_steps)
    mean = _over_quarter_turns(torch.stack(curvatures), torch.stack(turns))
    held = (speed**2 * mean).where(is_held, 0.0).reshape(-1, _NUM_ANGLES)
    held *= is_held.reshape(held.shape).cummin(-1).values
    zero = torch.zeros(1, dtype=torch.float64)
    accelerations = torch.cat([zero.expand(len(speeds), 1), held.double().cpu()], -1)
    return SteeringTable(car.wheelbase, speeds, torch.cat([zero, angles]), accelerations)


def _over_quarter_turns(values: Tensor, turns: Tensor) -> Tensor:
    """Average values (T, B) over the whole quarter turns of cars, over all where there is none."""
    turned = turns.cumsum(0)
    most = (turned[-1] / (math.pi / 2)).floor() * (math.pi / 2)
    counts = (turned <= most) | (most <= 0)
    return (values * counts).sum(0) / counts.sum(0)
