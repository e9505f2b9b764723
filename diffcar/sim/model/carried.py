"""A car that goes with a run: its model and meshes in one folder, which may go anywhere."""

import json
import shutil
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pydantic

from diffcar.base.errors import ModelError, shortened
from diffcar.base.files import (
    digests,
    is_there,
    json_text,
    make_folder,
    write_atomically,
    write_text,
)
from diffcar.base.section import first_problem
from diffcar.sim.model.model_file import explain_errors, open_model, parts_of_model
from diffcar.sim.model.vehicle import Vehicle

__all__ = ["CARRIED_FOLDER", "car_of_run", "carry_car", "files_of_carried", "origin_of_carried"]

CARRIED_FOLDER = "car"
"""Such a folder, in that of a run."""
_MODEL, _RECORD = "car.xml", "car.json"
# By which the record is told from another file of that name.
_FORMAT = "diffcar car 1"
_FOLDERS = ("meshdir", "texturedir", "assetdir", "strippath")


def carry_car(vehicle: Vehicle, model: str, folder: Path) -> None:
    """Write a car's model, its meshes and what was measured of it into a folder.

    A shipped car that needs no rewriting is left where it is.

    Args:
        model: What the user calls it.

    Raises:
        OutputError: If the file system refuses.
    """
    if vehicle.origin is None and not vehicle.files:
        return
    make_folder(folder)
    with explain_errors(vehicle.file, "cannot be kept with the run"):
        root = ET.fromstring(_whole(vehicle.file))
        taken: list[str] = []
        for element, attribute, file in _assets(root, vehicle.file.parent):
            name = file.name if file.name not in taken else f"{len(taken)}-{file.name}"
            taken.append(name)
            # What is not named is called by its file, which may be another now.
            if element.tag != "texture" or element.get("type") != "cube":
                element.set("name", element.get("name") or file.stem)
            write_atomically(folder / name, partial(shutil.copyfile, file))
            element.set(attribute, name)
        for compiler in root.iter("compiler"):
            for name in _FOLDERS:
                compiler.attrib.pop(name, None)
    text = ET.tostring(root, "unicode")
    write_text(folder / _MODEL, text)
    kept = vehicle.origin or vehicle.file
    for name in ("grip", "steering"):
        if (measured := kept.with_suffix(f".{name}.csv")).is_file():
            copy = folder / f"{Path(_MODEL).stem}.{name}.csv"
            write_atomically(copy, partial(shutil.copyfile, measured))
    record = {
        "format": _FORMAT,
        "model": origin_of_carried(vehicle.file) or model,
        "files": vehicle.files,
        "carried": _digests(folder),
    }
    write_text(folder / _RECORD, json_text(record))


def car_of_run(run: Path) -> Path | None:
    """Return the model of the car that a run carries; None where it carries none.

    Raises:
        ModelError: If what is kept of it is damaged.
    """
    model = run / CARRIED_FOLDER / _MODEL
    return model if _record(model) else None


def files_of_carried(model: Path) -> tuple[tuple[str, str], ...] | None:
    """Return name and digest of each file that a carried car was read from; None of any other.

    Those of the copy where it was changed since.

    Raises:
        ModelError: If files are missing from it, or what is kept of it is damaged.
    """
    record = _record(model)
    if record is None:
        return None
    names = [name for name, _ in record.carried]
    lacking = [own for own in names if not is_there(str(model.parent / own), Path.is_file)]
    if lacking:
        told = f"the car of a run in {str(model.parent)!r} lacks {shortened(', '.join(lacking))}"
        raise ModelError(told, "copy the run's folder anew, with all that is in it; or give a car")
    return record.files if record.carried == _digests(model.parent) else None


def origin_of_carried(model: Path) -> str | None:
    """Return what the user called a carried car; None of any other."""
    record = _record(model)
    return record.model if record else None


class _Record(pydantic.BaseModel):
    """What is kept of a carried car."""

    model: str
    files: tuple[tuple[str, str], ...]
    carried: tuple[tuple[str, str], ...]


def _record(model: Path) -> _Record | None:
    """Return what is kept of a carried car; None of any other.

    Raises:
        ModelError: If it is damaged.
    """
    file = model.parent / _RECORD
    if model.name != _MODEL or not is_there(str(file), Path.is_file):
        return None
    try:
        record = json.loads(file.read_text(encoding="utf-8"))
        if not isinstance(record, dict) or record.get("format") != _FORMAT:
            return None  # somebody's own
        return _Record.model_validate(record)
    except (OSError, ValueError, RecursionError) as error:
        told = f"{str(file)!r} is damaged: {first_problem(error)}"
        raise ModelError(told, "copy the run's folder anew") from None


def _digests(folder: Path) -> tuple[tuple[str, str], ...]:
    """Return name and digest of what lies in the folder of a carried car."""
    kept = (_RECORD, *(f"{Path(_MODEL).stem}.{n}.csv" for n in ("grip", "steering")))
    files = sorted(own for own in folder.iterdir() if own.is_file() and own.name not in kept)
    return tuple((Path(name).name, digest) for name, digest in digests(files))


def _whole(file: Path) -> str:
    """Return a model with all that it includes."""
    if len(parts_of_model(file)) == 1:
        return file.read_text(encoding="utf-8")
    spec = open_model(file)
    spec.compile()
    return str(spec.to_xml())


def _assets(root: ET.Element, folder: Path) -> Iterator[tuple[ET.Element, str, Path]]:
    """Yield each asset that is a file, the attribute that names it, and where it is."""
    compiler: dict[str, str] = {}
    for element in root.iter("compiler"):
        compiler |= element.attrib
    for tag in ("mesh", "hfield", "skin", "texture"):
        own = "texturedir" if tag == "texture" else "meshdir"
        place = folder / compiler.get(own, compiler.get("assetdir", ""))
        for element in root.iter(tag):
            for attribute in [name for name in element.attrib if name.startswith("file")]:
                name = element.get(attribute, "")
                short = Path(name).name if compiler.get("strippath") == "true" else name
                if (place / short).is_file():
                    yield element, attribute, place / short
