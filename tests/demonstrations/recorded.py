"""What the tests of demonstrations record, and what another tool may have logged."""

import math
from pathlib import Path

import torch

from diffcar.controllers.config import ControllerConfig
from diffcar.controllers.pure_pursuit import PurePursuit
from diffcar.demonstrations.config import DemonstrationConfig
from diffcar.demonstrations.recording import Recording, record_demonstrations
from diffcar.path.reference import ReferencePath
from diffcar.tasks.tracking.config import StartConfig
from tests.bicycle import Bicycle
from tests.samples import VEHICLE, road

CONFIG = ControllerConfig()
QUIET = DemonstrationConfig(duration=1.0, noisy_fraction=0.0)


def record(
    path: ReferencePath,
    config: DemonstrationConfig = QUIET,
    *,
    seed: int = 0,
    dt: float = 0.02,
    **arguments: object,
) -> Recording:
    arguments.setdefault("expert", PurePursuit(VEHICLE))
    return record_demonstrations(
        Bicycle(4, dt=dt),
        path=path,
        controller_config=CONFIG,
        config=config,
        start_config=StartConfig(),
        seed=seed,
        **arguments,
    )


THEIRS = {
    "x_m": "X",
    "y_m": "Y",
    "yaw_rad": "heading",
    "speed_mps": "v",
    "steering_angle_rad": "wheel",
    "steering_command_rad": "delta_deg*0.0174532925",
    "speed_command_mps": "v_cmd",
}
"""What the log of another tool calls the columns."""


def write_foreign_log(file: Path, *, has_gap: bool = True) -> None:
    """Write what another tool may log of a car on the circle, with an empty cell in row 42."""
    circle = road("circle")
    lines = ["t;X;Y;heading;v;wheel;delta_deg;v_cmd"]
    for number in range(300):
        point = circle.sample(torch.tensor([0.04 * number], dtype=torch.float64))
        (x, y), offset = point.position[0].tolist(), 0.05 * math.sin(0.3 * number)
        values = [0.02 * number, x, y, float(point.heading) + offset, 2.0, 0.15]
        delta = "" if has_gap and number == 40 else str(math.degrees(0.16 - offset))
        lines.append(";".join([*map(str, values), delta, str(2.0 + 0.1 * math.cos(number))]))
    file.write_text("\n".join(lines) + "\n")
