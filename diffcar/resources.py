"""Finds the files that travel with the package: vehicle models and default configurations."""

from pathlib import Path

from diffcar.errors import ConfigError

__all__ = ["resource_path"]

_PACKAGE = Path(__file__).resolve().parent
# In an installed wheel the folders lie inside the package, in a checkout beside it.
_ROOTS = (_PACKAGE / "_resources", _PACKAGE.parent)


def resource_path(relative: str) -> Path:
    """Return the path of a shipped file such as `assets/car.xml`.

    Args:
        relative: Path below the project's top level, with forward slashes.

    Returns:
        The file's location on this machine.

    Raises:
        ConfigError: If the installation lacks the file.
    """
    for root in _ROOTS:
        candidate = root / relative
        if candidate.is_file():
            return candidate
    raise ConfigError(
        f"the shipped file {relative!r} is missing from this installation",
        hint="reinstall diffcar",
    )
