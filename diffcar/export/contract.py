"""What a caller of an exported controller must know: names, order, units, frames, limits, path."""

from typing import Any

import torch

from diffcar.base.version import VERSION
from diffcar.controllers.tracking_mlp import TrackingMLP
from diffcar.path.reference import ReferencePath

__all__ = ["INPUTS", "OUTPUTS", "contract_of"]

_POINT = "of the point that follows the path, in the path's frame"
INPUTS = {
    "x": ("m", _POINT),
    "y": ("m", _POINT),
    "yaw": ("rad", "heading of the car, counter-clockwise from the x axis, wrapped or not"),
    "speed": ("m/s", "velocity of the point along the car's x axis, forward"),
    "lateral_velocity": ("m/s", "velocity of the point along the car's y axis, + to the left"),
    "yaw_rate": ("rad/s", "rate of turn, counter-clockwise"),
    "steering_angle": ("rad", "mean of the two front wheels, as it is now, + to the left"),
}
"""Entries of the state in their order: unit and meaning."""
OUTPUTS = {
    "steering_angle": ("rad", "to command to a bicycle of the car's wheelbase, + to the left"),
    "speed": ("m/s", "to command to the motors"),
}
"""Entries of the action in their order: unit and meaning."""
_MEMORY = (
    "what the call before has returned as next_memory; NaN in its first entry, as at the first "
    "call, stands for nothing remembered: the whole path is searched"
)
_PAST = ("steering_command", "speed_command", "steering_angle", "speed")


def contract_of(
    controller: TrackingMLP, path: ReferencePath, *, dt: float, precision: int, origin: str
) -> dict[str, Any]:
    """Return the contract as values for JSON.

    Args:
        dt: Time from call to call [s].
        precision: Bits of a number.
        origin: What the user calls the controller.
    """
    vehicle, observer = controller.vehicle, controller.observer
    x, y, heading, _, speed = path.samples[0].tolist()
    past = range(1, controller.past_commands + 1)
    memory = ["arc_length", *(f"{name}_{number}" for number in past for name in _PAST)]
    steering, increment = vehicle.max_steering, vehicle.speed_increment
    seen = zip(observer.names(observer.config), observer.scales, observer.signs, strict=True)
    return {
        "format": 1,
        "diffcar": VERSION,
        "torch": torch.__version__,
        "controller": origin,
        "precision": precision,
        "dt_s": dt,
        "inputs": [
            {"name": "state", "shape": [7], "entries": _entries(INPUTS)},
            {"name": "memory", "shape": [len(memory)], "meaning": _MEMORY, "entries": memory},
        ],
        "outputs": [
            {"name": "action", "shape": [2], "entries": _entries(OUTPUTS)},
            {"name": "next_memory", "shape": [len(memory)], "meaning": "for the next call"},
        ],
        "limits": {
            "steering_angle_rad": [-steering, steering],
            "speed_minus_state_speed_mps": [-increment, increment],
            "motors_reach_mps": vehicle.top_speed,
        },
        "vehicle": {
            "name": vehicle.file.stem,
            "wheelbase_m": vehicle.wheelbase,
            "point_ahead_of_rear_axle_m": 0.0 - vehicle.rear_axle_x,
        },
        "path": {
            "name": path.name,
            "length_m": path.length,
            "is_closed": path.closed,
            "origin_m": list(path.origin),
            "start": [x, y, heading],
            "start_speed_mps": speed,
            "top_speed_mps": float(path.samples[:, 4].max()),
        },
        "observation": [
            {"name": name, "scale": scale, "mirror_sign": sign} for name, scale, sign in seen
        ],
    }


def _entries(meanings: dict[str, tuple[str, str]]) -> list[dict[str, str]]:
    """Return the entries of a vector."""
    return [
        {"name": name, "unit": unit, "meaning": meaning}
        for name, (unit, meaning) in meanings.items()
    ]
