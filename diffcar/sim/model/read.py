"""The one way from what a user names to a car: shipped, written as diffcar's are, or adopted."""

import functools
import tempfile
from dataclasses import replace
from pathlib import Path

from diffcar.base.errors import ModelError
from diffcar.base.files import is_there, resource_path
from diffcar.sim.config import CarConfig, CarReadingConfig, DrivenWheels
from diffcar.sim.model.adopt import adopt_model
from diffcar.sim.model.carried import files_of_carried
from diffcar.sim.model.model_file import explain_errors, open_model
from diffcar.sim.model.named import read_named_model
from diffcar.sim.model.reader import SPIN_JOINTS, STEERING_JOINTS
from diffcar.sim.model.vehicle import SHIPPED, Vehicle

__all__ = ["car_of", "load_vehicle"]

_READING = CarReadingConfig()
_URDF = ("buggy",)  # of those that come with diffcar


def load_vehicle(
    model: str | Path | None = None,
    *,
    drive: DrivenWheels | None = None,
    torque_split: float = 0.5,
    reading: CarReadingConfig = _READING,
    lenient: bool = False,
) -> Vehicle:
    """Read a car: a shipped one by its name, or any MJCF or URDF of a front-steered car.

    A file that names its joints as `assets/car.xml` does is read as it is (`read_named_model`), any
    other rewritten (`adopt_model`); what was found, assumed or changed is among the car's
    `assumptions`.

    Args:
        model: A file, or one of `SHIPPED`; None takes `car`.
        drive: Which wheels are driven, with the torque that the model's motors have together; None
            leaves it to the model's actuators.
        torque_split: The front wheels' share where a `drive` of all is asked for.
        reading: How a model is rewritten.
        lenient: Whether it is enough that the car can be examined.

    Raises:
        ModelError: If the file cannot be read, or is no such car.
    """
    if model is None or str(model) in SHIPPED:
        name = str(model or "car")
        is_named = name not in _URDF
        file = resource_path(f"assets/{name}.{'xml' if is_named else 'urdf'}")
        if is_named and (reading.steering_joints or reading.wheel_joints):
            told = f"the joints of the car {model or 'car'!r}, which comes with diffcar, are known"
            raise ModelError(told, "leave --steering-joints and --wheel-joints out")
        own = _as_shipped(file) if is_named else _adopted(file, reading, lenient=lenient)
        vehicle = replace(own, files=())
    elif (files := files_of_carried(Path(model))) is not None:
        vehicle = replace(read_named_model(Path(model), lenient=lenient), files=files)
    elif reading.steering_joints or reading.wheel_joints or not _has_our_names(Path(model)):
        vehicle = _adopted(Path(model), reading, lenient=lenient)
    else:
        try:
            vehicle = read_named_model(Path(model), lenient=lenient)
        except ModelError:
            if not lenient:
                raise
            # Not as diffcar writes a car; it may still be one, and adopting it says why not.
            vehicle = _adopted(Path(model), reading, lenient=True)
    return vehicle if drive is None else vehicle.driven_by(drive, torque_split)


@functools.cache
def _as_shipped(file: Path) -> Vehicle:
    """Return a shipped car whose joints have diffcar's names, which is read once."""
    return read_named_model(file)


def _adopted(file: Path, reading: CarReadingConfig, *, lenient: bool) -> Vehicle:
    """Return a car rewritten, in a folder that goes when the process does."""
    folder = Path(tempfile.mkdtemp(dir=_adopted_cars().name))
    return adopt_model(file, folder, reading, lenient=lenient)


def car_of(config: CarConfig, *, lenient: bool = False) -> Vehicle:
    """Read the car of some settings (see `load_vehicle`)."""
    return load_vehicle(
        config.model,
        drive=config.drive,
        torque_split=config.torque_split,
        reading=config.car_reading,
        lenient=lenient,
    )


@functools.cache
def _adopted_cars() -> tempfile.TemporaryDirectory[str]:
    """Return the folder of rewritten models, which goes when the process does."""
    return tempfile.TemporaryDirectory(prefix="diffcar-cars-")


def _has_our_names(file: Path) -> bool:
    """Return whether an MJCF has all joints of a car by diffcar's names."""
    if not is_there(str(file), Path.is_file):
        return True  # which is told where it is read
    with explain_errors(file, "is not a valid MJCF model"):
        if file.suffix == ".urdf" or b"<robot" in file.read_bytes():
            return False
        names = {joint.name for joint in open_model(file).joints}
    return names >= {*STEERING_JOINTS, *SPIN_JOINTS}
