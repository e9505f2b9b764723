"""What tests of path files share."""

from pathlib import Path

import numpy as np

from diffcar.path.config import PathConfig
from diffcar.path.load import load_path
from diffcar.path.reference import ReferencePath

ANGLES = np.linspace(0, 2 * np.pi, 40, endpoint=False)
CIRCLE = np.stack([3 * np.cos(ANGLES), 3 * np.sin(ANGLES)], 1)
ONES = np.ones(40)


def rows(*columns: np.ndarray, separator: str = ",", point: str = ".") -> str:
    """Return numbers as the rows of a table."""
    lines = (separator.join(f"{v:.6f}" for v in row) for row in np.column_stack(columns))
    return "\n".join(lines).replace(".", point)


def load(
    folder: Path, content: str | bytes, name: str = "path.csv", **settings: object
) -> ReferencePath:
    """Write a file and load it as a path."""
    file = folder / name
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    car = {own: settings.pop(own) for own in ("max_curvature",) if own in settings}
    return load_path(PathConfig(source=str(file), **settings), **car)
