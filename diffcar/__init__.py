"""Train path-tracking controllers by backpropagation through rigid-body physics, gradients proved.

What is listed here is the library; each name is imported when it is first used, so that
`import diffcar` loads neither torch nor Genesis.
"""

import importlib
from typing import TYPE_CHECKING, Any

from diffcar.base.version import VERSION

if TYPE_CHECKING:
    from diffcar.base.errors import DiffcarError as DiffcarError
    from diffcar.cli.settings import load_config as load_config
    from diffcar.comparison.compare import compare as compare
    from diffcar.controllers.choose import make_controller as make_controller
    from diffcar.gradients.certificate import certify as certify
    from diffcar.gradients.hops import trace_hops as trace_hops
    from diffcar.gradients.problem import Problem as Problem
    from diffcar.losses import TrackingLoss as TrackingLoss
    from diffcar.path.load import load_path as load_path
    from diffcar.sim.build import build_scene as build_scene
    from diffcar.sim.build import repair as repair
    from diffcar.sim.model.read import load_vehicle as load_vehicle
    from diffcar.sim.model.suited import suited as suited
    from diffcar.tasks.tracking.drive import drive as drive
    from diffcar.tasks.tracking.rollout import rollout as rollout
    from diffcar.tasks.tracking.starts import draw_starts as draw_starts
    from diffcar.training.run import train as train

__version__ = VERSION

_PUBLIC = {
    "load_path": "diffcar.path.load",
    "load_vehicle": "diffcar.sim.model.read",
    "load_config": "diffcar.cli.settings",
    "suited": "diffcar.sim.model.suited",
    "build_scene": "diffcar.sim.build",
    "repair": "diffcar.sim.build",
    "make_controller": "diffcar.controllers.choose",
    "draw_starts": "diffcar.tasks.tracking.starts",
    "rollout": "diffcar.tasks.tracking.rollout",
    "drive": "diffcar.tasks.tracking.drive",
    "TrackingLoss": "diffcar.losses",
    "train": "diffcar.training.run",
    "Problem": "diffcar.gradients.problem",
    "certify": "diffcar.gradients.certificate",
    "trace_hops": "diffcar.gradients.hops",
    "compare": "diffcar.comparison.compare",
    "DiffcarError": "diffcar.base.errors",
}

__all__ = sorted(_PUBLIC)


def __getattr__(name: str) -> Any:  # noqa: ANN401
    """Import a public name when it is first used."""
    if name not in _PUBLIC:
        raise AttributeError(f"diffcar has no {name!r}; it has {', '.join(_PUBLIC)}")
    value = globals()[name] = getattr(importlib.import_module(_PUBLIC[name]), name)
    return value


def __dir__() -> list[str]:
    """Return the public names."""
    return [*_PUBLIC, "__version__"]
