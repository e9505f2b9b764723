"""A driver as C99: a header and a source file that need nothing but math.h."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from diffcar.base.files import json_text
from diffcar.controllers.config import ControllerConfig
from diffcar.controllers.observation import LEAST_MISFIT, LEAST_MOTION, LEAST_REGRESSOR
from diffcar.export.config import FORMATS
from diffcar.export.contract import INPUTS, OUTPUTS
from diffcar.export.driver import LONGEST_WAY, NEWTON_STEPS, Driver

__all__ = ["c_sources"]

# What the observer's entries are in C, of the car here and of the road ahead, by its unit.
_HERE = {"cross_track": "left", "speed_error": "state->speed - here.speed"}
_HERE |= {name: f"state->{name}" for name in INPUTS} | {"heading_error": "heading_error"}
_AHEAD = {
    ("curvature", "m"): "ahead.curvature",
    ("curvature", "s"): "ahead.curvature * (1 + state->speed / (2 * LEAST_SPEED))",
    ("speed", "m"): "ahead.speed - state->speed",
    ("speed", "s"): "ahead.speed - state->speed",
}
_PAST = {
    "steering_command": "past[{0}][0]",
    "speed_command": "past[{0}][1] - state->speed",
    "steering_angle": "past[{0}][2]",
    "speed": "past[{0}][3] - state->speed",
    "lateness": "late[{1}]",
}
_PER_LINE = 6


def c_sources(driver: Driver, contract: dict[str, Any]) -> tuple[str, str]:
    """Return the header and the source of a driver, in its precision."""
    is_single = driver.road.knots.dtype == torch.float32
    observer, vehicle = driver.controller.observer, driver.controller.vehicle
    config, most = observer.config, observer.config.steering_acceleration
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {"number": _Numbers(is_single).one, "table": _Numbers(is_single).table}
    known = {
        "contract": contract,
        # So that it ends no comment, whatever a path is called.
        "comment": json_text(contract).translate({ord(sign): "_" for sign in "*?"}).rstrip(),
        "inputs": INPUTS,
        "outputs": OUTPUTS,
        "is_single": is_single,
        "num_commands": driver.num_commands,
        "num_delays": config.num_delays,
        "least": (LEAST_MOTION, LEAST_MISFIT, LEAST_REGRESSOR),
        "road": driver.road,
        "limits": vehicle,
        "observation": _observation(config, contract["observation"]),
        "longest_way": LONGEST_WAY,
        "newton_steps": NEWTON_STEPS,
        "unit": config.preview_unit,
        # How much of a lateral acceleration the sharpest turn asks for at 1 m/s.
        "steering_share": most and vehicle.max_curvature / most,
        "least_speed": observer.least_speed,
        "layers": (layers := _layers(driver)),
        "widest": max(len(own) for layer in layers for own in layer),
        "scales": torch.tensor(observer.scales, dtype=torch.float64),
        "signs": torch.tensor(observer.signs, dtype=torch.float64),
    }
    header, source = FORMATS["c"].files
    return tuple(
        environment.get_template(f"{file.removeprefix('diffcar_')}.jinja").render(**known)
        for file in (header, source)
    )  # type: ignore[return-value]


def _observation(config: ControllerConfig, entries: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return each entry with its value in C and, of the road ahead, how far that is."""
    reaches = [("curvature", reach) for reach in config.curvature_preview]
    reaches += [("speed", reach) for reach in config.speed_preview]
    kinds = {f"{kind}_{reach:.10g}{config.preview_unit}": (kind, reach) for kind, reach in reaches}
    found = []
    for entry in entries:
        kind, reach = kinds.get(entry["name"], (None, None))
        value = _AHEAD[kind, config.preview_unit] if kind else _value(entry["name"])
        found.append(entry | {"value": value, "reach": reach})
    return found


def _value(name: str) -> str:
    """Return what an entry is in C that is no preview: of the car now, or so many steps ago."""
    if name in _HERE:
        return _HERE[name]
    kind, _, number = name.rpartition("_")
    return _PAST[kind].format(int(number) - 1, number)


def _layers(driver: Driver) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Return weights, inputs first, and biases of each layer."""
    linear = [layer for layer in driver.network.network if isinstance(layer, torch.nn.Linear)]
    return [(layer.weight.T, layer.bias) for layer in linear]


class _Numbers:
    """Numbers as C has them, in one of its two precisions."""

    def __init__(self, is_single: bool) -> None:
        self._digits, self._suffix = (9, "f") if is_single else (17, "")
        self._kind = np.float32 if is_single else np.float64

    def one(self, value: float) -> str:
        """Return a number."""
        text = f"{float(self._kind(value)):.{self._digits}g}"
        return f"{text if set(text) & set('.e') else f'{text}.0'}{self._suffix}"

    def table(self, values: torch.Tensor) -> str:
        """Return an array of any shape with its braces, a few numbers a line."""
        if values.dim() > 1:
            return "{\n" + ",\n".join(map(self.table, values)) + "\n}"
        numbers = [self.one(value) for value in values.tolist()]
        lines = (numbers[at : at + _PER_LINE] for at in range(0, len(numbers), _PER_LINE))
        return "{" + ",\n ".join(map(", ".join, lines)) + "}"
