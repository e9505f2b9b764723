"""Opening somebody's MJCF or URDF for rewriting, with errors that name the file."""

import re
import warnings
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from contextlib import contextmanager
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING

from diffcar.base.errors import ModelError
from diffcar.base.log import logger

if TYPE_CHECKING:
    import mujoco

# A car has some hundred elements; a picture or a height field of a side of 4096 takes 50 MB.
_MAX_ELEMENTS, _MAX_CELLS, _MAX_BYTES = 10_000, 4096**2, 50_000_000
_COPIES = ("replicate", "composite", "flexcomp")
_CELLS = {"texture": ("width", "height"), "hfield": ("nrow", "ncol")}
# What to do about a file that is no model of a car.
_GIVE_MJCF = "give an MJCF or URDF file of a car, such as assets/car.xml or assets/buggy.urdf"

__all__ = [
    "UnfitError",
    "collides",
    "explain_errors",
    "files_of_model",
    "open_model",
    "parts_of_model",
    "quiet_mujoco",
    "shape_name",
]


class UnfitError(ValueError):
    """Something about a car that diffcar cannot drive, and what to do about it."""

    def __init__(self, told: str, hint: str) -> None:
        super().__init__(told)
        self.hint = hint


def shape_name(kind: int) -> str:
    """Return what a type of geometry is called, such as `sphere`."""
    import mujoco

    return str(mujoco.mjtGeom(kind).name).removeprefix("mjGEOM_").lower()


def collides(model: "mujoco.MjModel", geom: int) -> bool:
    """Return whether a geometry can touch anything."""
    return bool(model.geom_contype[geom] or model.geom_conaffinity[geom])


def open_model(file: Path) -> "mujoco.MjSpec":
    """Parse MJCF or URDF with absolute folders of meshes, so that a copy may lie elsewhere."""
    import mujoco

    parts_of_model(file)
    spec = mujoco.MjSpec.from_file(str(file))
    for name in ("meshdir", "texturedir"):
        setattr(spec, name, str((file.parent / getattr(spec, name)).resolve()))
    return spec


def files_of_model(file: Path, spec: "mujoco.MjSpec") -> list[Path]:
    """Return what an open model came from: its file, those it includes, meshes, height fields."""
    shapes = [Path(spec.meshdir) / shape.file for shape in (*spec.meshes, *spec.hfields)]
    return [*parts_of_model(file), *filter(Path.is_file, shapes)]


def parts_of_model(file: Path) -> list[Path]:
    """Return a model's file and those that it includes.

    Raises:
        ValueError: Before MuJoCo takes the memory, if they are far too large.
    """
    count, read, waiting = 0, list[Path](), [(file, 1)]
    while waiting:
        part, factor = waiting.pop()
        copies = [factor]
        if part in read or not part.is_file():
            continue  # which MuJoCo has its own words for
        read.append(part)
        if part.stat().st_size > _MAX_BYTES:
            raise ValueError(f"{part.name} has more than {_MAX_BYTES // 1_000_000} MB")
        for event, element in ET.iterparse(part, ("start", "end")):
            if event == "end":
                if element.tag in _COPIES:
                    copies.pop()
                element.clear()
                continue
            count += copies[-1]
            if element.tag in _COPIES:
                copies.append(copies[-1] * prod(_numbers(element, "count")))
            elif element.tag == "include":
                waiting.append((file.parent / element.get("file", ""), copies[-1]))
            cells = prod(n for name in _CELLS.get(element.tag, ()) for n in _numbers(element, name))
            if max(count, copies[-1]) > _MAX_ELEMENTS or cells > _MAX_CELLS:
                raise ValueError(
                    f"<{element.tag}> makes it too large: at most {_MAX_ELEMENTS} elements, copies "
                    f"counted, and {_MAX_CELLS} cells of a texture or height field"
                )
    return read


def _numbers(element: ET.Element, name: str) -> list[int]:
    """Return the whole numbers in an attribute, those below one as one."""
    return [max(1, int(digits[:9])) for digits in re.findall(r"\d+", element.get(name, ""))]


@contextmanager
def explain_errors(file: Path, claim: str) -> Iterator[None]:
    """Turn what MuJoCo raises inside into an error about the user's file.

    It makes a claim such as "cannot be read as a car", and adds MuJoCo's own words. What MuJoCo
    warns of is logged, once.
    """
    import mujoco

    try:
        with quiet_mujoco(), warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            yield
        for text in dict.fromkeys(str(warning.message) for warning in told):
            logger.warning(f"{file.name}: {text}")
    except ET.ParseError as error:
        raise ModelError(f"{str(file)!r} {claim}: XML error: {error}", _GIVE_MJCF) from None
    except (OSError, ValueError, RuntimeError, mujoco.FatalError) as error:
        hint = error.hint if isinstance(error, UnfitError) else _hint(file, str(error))
        raise ModelError(f"{str(file)!r} {claim}: {error}", hint) from None


@contextmanager
def quiet_mujoco() -> Iterator[None]:
    """Keep MuJoCo's warnings inside from the terminal and from MUJOCO_LOG.TXT."""
    import mujoco

    # Without a handler MuJoCo prints them and appends them to that file in the current directory.
    handler = mujoco.get_mju_user_warning()
    mujoco.set_mju_user_warning(lambda text: None)
    try:
        yield
    finally:
        mujoco.set_mju_user_warning(handler)


def _hint(file: Path, told: str) -> str:
    """Say what helps against an error of MuJoCo's parser."""
    if "could not find decoder" in told:
        return "name the file .xml (MJCF) or .urdf"
    # MuJoCo may strip the path from the name of a file that it does not find.
    if "opening file" in told and b"package://" in file.read_bytes():
        return "replace package:// by paths relative to the model"
    return _GIVE_MJCF
