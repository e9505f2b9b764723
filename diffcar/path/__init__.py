"""Reference paths: what the car is asked to follow."""

from diffcar.path.builtin import BUILTIN_PATHS
from diffcar.path.load import load_path
from diffcar.path.reference import PathPoint, ReferencePath

__all__ = ["BUILTIN_PATHS", "PathPoint", "ReferencePath", "load_path"]
