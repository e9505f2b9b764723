"""Opening somebody's MJCF or URDF for rewriting, with errors that name the file."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from diffcar.base.errors import ModelError

if TYPE_CHECKING:
    import mujoco

__all__ = ["explain_errors", "open_model", "quiet_mujoco", "reference_pose", "shape_name"]


def reference_pose(model: "mujoco.MjModel") -> "mujoco.MjData":
    """Return a compiled model as it is written."""
    import mujoco

    data = mujoco.MjData(model)
    mujoco.mj_forward(model, data)
    return data


def shape_name(kind: int) -> str:
    """Return what a type of geometry is called, such as `sphere`."""
    import mujoco

    return str(mujoco.mjtGeom(kind).name).removeprefix("mjGEOM_").lower()


def open_model(file: Path) -> "mujoco.MjSpec":
    """Parse MJCF or URDF with absolute folders of meshes, so that a copy may lie elsewhere."""
    import mujoco

    spec = mujoco.MjSpec.from_file(str(file))
    for name in ("meshdir", "texturedir"):
        setattr(spec, name, str((file.parent / getattr(spec, name)).resolve()))
    return spec


@contextmanager
def explain_errors(file: Path, claim: str) -> Iterator[None]:
    """Turn what MuJoCo raises inside into an error about the user's file.

    It makes a claim such as "cannot be read as a car", and adds MuJoCo's own words.
    """
    import mujoco

    try:
        with quiet_mujoco():
            yield
    except (ValueError, RuntimeError, mujoco.FatalError) as error:
        raise ModelError(f"{str(file)!r} {claim}: {error}", _hint(file, str(error))) from None


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


def _hint(file: Path, told: str) -> str | None:
    """Say what helps against an error of MuJoCo's parser, if that is known."""
    if "could not find decoder" in told:
        return "name the file .xml (MJCF) or .urdf"
    # MuJoCo may strip the path from the name of a file that it does not find.
    if "opening file" in told and b"package://" in file.read_bytes():
        return "replace package:// by paths relative to the model"
    return None
