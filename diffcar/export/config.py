"""The settings of `diffcar export`, and what each format needs."""

import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

import pydantic
from pydantic import Field

from diffcar.base.errors import ConfigError
from diffcar.base.files import is_there
from diffcar.base.registry import is_own
from diffcar.controllers.config import CONTROLLERS, SHIPPED
from diffcar.tasks.tracking.config import DrivingConfig

__all__ = ["CONTRACT", "FORMATS", "ExportConfig", "Format", "FormatName", "require_formats"]

CONTRACT = "contract.json"
"""What lies beside the files."""
FormatName = Literal["onnx", "torchscript", "c"]


@dataclass(frozen=True)
class Format:
    """A kind of file to export to."""

    files: tuple[str, ...]
    """What is written, beside the contract."""
    modules: tuple[str, ...] = ()
    """What must be installed to write it."""


FORMATS: dict[FormatName, Format] = {
    "onnx": Format(("controller.onnx",), ("onnx", "onnxruntime")),
    "torchscript": Format(("controller.pt",)),
    "c": Format(("diffcar_controller.h", "diffcar_controller.c")),
}
"""By name."""


class ExportConfig(DrivingConfig):
    """`diffcar export`."""

    controller: str | None = None
    """A run folder or a checkpoint, or shipped; null takes the newest run."""
    formats: Annotated[list[FormatName], Field(min_length=1)] = Field(default=["onnx"])
    """What to write: onnx, torchscript, c."""
    precision: Literal[32, 64] = 32
    """Bits of a number in what is exported."""

    @pydantic.field_validator("controller")
    @classmethod
    def _is_trained(cls, value: str | None) -> str | None:
        """Refuse what is no network; a `ConfigError` keeps its hint on the way out."""
        if value is not None and value != SHIPPED and not is_there(value):
            if value in CONTROLLERS or is_own(value):
                raise ConfigError(
                    f"{value!r} is no network, and nothing else is exported",
                    "give a run folder or a checkpoint of a train command",
                )
            CONTROLLERS.check(value)
        return value


def require_formats(formats: Sequence[FormatName]) -> None:
    """Refuse formats that cannot be written here.

    Raises:
        ConfigError: With what is to be installed.
    """
    for name in formats:
        for module in FORMATS[name].modules:
            if importlib.util.find_spec(module) is None:
                raise ConfigError(
                    f"the format {name} needs {module}, which is not installed",
                    "pip install 'diffcar[onnx]', or --format torchscript or c, which need nothing",
                )
