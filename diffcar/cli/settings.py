"""The settings of every command, by its name."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from diffcar.base import config as base
from diffcar.base.registry import Registry
from diffcar.base.section import Section
from diffcar.training.methods import METHODS

__all__ = ["SCHEMAS", "load_config"]

SCHEMAS: Registry[type[Section]] = Registry(
    "command",
    {how.command: how.config["tracking"] for how in METHODS.values() if how.command}
    | {
        "train-push": METHODS["e2e"].config["pushing"],
        "simulate": "diffcar.tasks.tracking.config:SimulateConfig",
        "measure-grip": "diffcar.tasks.tracking.config:MeasureGripConfig",
        "record": "diffcar.demonstrations.config:RecordConfig",
        "export": "diffcar.export.config:ExportConfig",
        "compare": "diffcar.comparison.config:CompareConfig",
        "check-car": "diffcar.checks.config:CheckCarConfig",
        "check-grad": "diffcar.checks.config:CheckGradConfig",
        "franka-test": METHODS["e2e"].config["reaching"],
    },
)
"""Schemas by command; `train-push` is `train-e2e --entity mpm`."""


def load_config(
    command: str,
    *,
    file: Path | str | None = None,
    overrides: Sequence[str] = (),
    **values: Any,  # noqa: ANN401
) -> Any:  # noqa: ANN401
    """Return the checked settings of a command.

    Args:
        command: Its name, such as `train-e2e`.
        file: Of settings, in YAML.
        overrides: As `--set` takes them: `dotted.key=value`.
        values: Settings at the top level.

    Raises:
        ConfigError: With every problem found, and the nearest name for each unknown key.
    """
    schema, path = SCHEMAS[command], None if file is None else Path(file)
    return base.load_config(schema, file=path, overrides=overrides, flags=values)
