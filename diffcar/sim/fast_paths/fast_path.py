"""What a fast path is, when it is taken, and how it steps aside to Genesis's own way."""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import FunctionType, MethodType
from typing import TYPE_CHECKING, Any

from torch import Tensor

from diffcar.sim.upstream import are_unchanged, aside, lacking, note

if TYPE_CHECKING:
    from genesis import Scene

__all__ = ["FastPath", "Replacement", "Undo", "view", "with_other_names"]

Replacement = tuple[Any, str, Callable[..., Any]]
"""An object of a scene, the name of its method, and what is called instead, the object first."""
Undo = Callable[[], None]
_VIEW = {"genesis.utils.misc:qd_to_torch": "ab5513e8f12f39a0"}


def _has_moving_bodies(sim: Any) -> bool:  # noqa: ANN401
    """Return whether a rigid body can move."""
    return sim.rigid_solver.is_active and sim.rigid_solver.n_dofs > 0


@dataclass(frozen=True)
class FastPath:
    """A quicker way to the same gradient, for one scene at a time: no other scene notices."""

    replacements: Callable[[Any], Sequence[Replacement]]
    """Returns what to replace, given the simulator of a built differentiable scene."""
    known: Mapping[str, str]
    """Fingerprints of what is replaced and of what that rests on in Genesis, as `module:name`."""
    needed: Sequence[str]
    """Private names that it uses, with dots, from the simulator on."""
    unsuited: Callable[[Any], str] = lambda sim: ""
    """Returns what in a scene it is not made for, if anything."""
    has_use: Callable[[Any], bool] = _has_moving_bodies
    """Returns whether there is anything in a scene that it makes quicker."""

    def take(self, scene: "Scene", name: str) -> Undo | None:
        """Take it in a scene; return what gives Genesis's own way back, or None if it stands aside.

        Why it does so is noted once in a process. `name` is how the note calls it.
        """
        sim = scene.sim
        if not self.has_use(sim) or not are_unchanged({**_VIEW, **self.known}, name):
            return None
        if missing := lacking(sim, self.needed):
            note(f"this Genesis lacks {', '.join(missing)}, {aside(name)}")
            return None
        if reason := _without_views() or self.unsuited(sim):
            told = f"a scene with {reason} has no fast path for {name}"
            note(f"{told}: so it is as slow as Genesis is", logging.INFO)
            return None
        replaced = self.replacements(sim)
        before = [
            vars(owner).get(method) for owner, method, _ in replaced
        ]  # what a repair put there
        for owner, method, function in replaced:
            setattr(owner, method, MethodType(function, owner))

        def undo() -> None:
            for (owner, method, _), own in zip(replaced, before, strict=True):
                delattr(owner, method)
                if own is not None:
                    setattr(owner, method, own)

        return undo


def view(field: Any) -> Tensor:  # noqa: ANN401
    """Return a field of a solver as a tensor that shares its memory and joins no graph."""
    from genesis.utils.misc import qd_to_torch

    return qd_to_torch(field, copy=False).detach()


def with_other_names(function: Callable[..., Any], own: Mapping[str, Any]) -> Callable[..., Any]:
    """Return the very same code, in which some of the names that it uses stand for others."""
    names = {**function.__globals__, **own}
    return FunctionType(function.__code__, names, function.__name__)


def _without_views() -> str:
    """Return what keeps fields from being tensors of torch, if anything does."""
    import genesis as gs

    if not getattr(gs, "use_zerocopy", False):
        return "no zero-copy views"
    return "Metal's two streams" if gs.backend == gs.metal else ""
