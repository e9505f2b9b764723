"""Quicker ways through Genesis's backward pass that give the same gradients.

They replace methods of one scene's objects, so that scenes in one process do not meddle with each
other. Each knows what it replaces, and steps aside where Genesis or the scene is another: it is
then as slow as Genesis is, and as right. Before the kernels are first used there are more, for the
start: see `adjoint_cache`, `compiled_fields` and `narrow_phase`.
"""

from typing import TYPE_CHECKING

from diffcar.base.registry import Registry
from diffcar.sim.fast_paths.checkpoint import CHECKPOINT
from diffcar.sim.fast_paths.constraint_rows import ABSENT_ROWS, CONSTRAINT_GRADIENT
from diffcar.sim.fast_paths.elasticity import ELASTICITY
from diffcar.sim.fast_paths.fast_path import FastPath, Undo
from diffcar.sim.fast_paths.memory import MEMORY
from diffcar.sim.fast_paths.narrow_phase import CONTACTS
from diffcar.sim.fast_paths.poses import POSES
from diffcar.sim.fast_paths.soft_body import FILLED_CELLS, STANDING_BODIES
from diffcar.sim.fast_paths.soft_steps import SOFT_STEPS
from diffcar.sim.fast_paths.state_views import FORCE_GRADIENT, STATE

if TYPE_CHECKING:
    from genesis import Scene

__all__ = ["FAST_PATHS", "Undo", "take_fast_paths"]

FAST_PATHS: Registry[FastPath] = Registry(
    "fast path",
    {
        "checkpoints": CHECKPOINT,
        "steps": MEMORY,
        "states": STATE,
        "force gradients": FORCE_GRADIENT,
        "absent rows": ABSENT_ROWS,
        "constraint gradients": CONSTRAINT_GRADIENT,
        "contacts": CONTACTS,
        "poses": POSES,
        "standing bodies": STANDING_BODIES,
        "filled cells": FILLED_CELLS,
        "elasticity": ELASTICITY,
        "steps of soft bodies": SOFT_STEPS,
    },
)
"""By what it makes quicker."""


def take_fast_paths(scene: "Scene") -> dict[str, Undo]:
    """Take all that a built differentiable scene can; return by name what gives each up again."""
    taken = {name: path.take(scene, name) for name, path in FAST_PATHS.items()}
    return {name: undo for name, undo in taken.items() if undo is not None}
