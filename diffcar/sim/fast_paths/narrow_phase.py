"""Collision kernels without what only other shapes need: a third of what a first start compiles.

Wheels that are spheres on a plane touch it in closed form. Genesis 1.4.5 compiles GJK, boxes and
the pruning of contact patches into the kernel all the same.
"""

import contextlib
import importlib
from collections.abc import Iterator
from typing import Any

from diffcar.sim.upstream import are_unchanged

__all__ = ["narrow_phase_of_spheres", "only_spheres_meet_planes"]

_COLLIDER = "genesis.engine.solvers.rigid.collider.collider"
_NARROW_PHASE = "genesis.engine.solvers.rigid.collider.narrowphase"
_KNOWN = {
    f"{_COLLIDER}:Collider._init_static_config": "6ad55371b22d355d",
    f"{_COLLIDER}:func_detection": "feeb5be3cdf36320",
    f"{_NARROW_PHASE}:func_convex_convex_contact": "23b0e3c5f5ae17af",
}


@contextlib.contextmanager
def narrow_phase_of_spheres() -> Iterator[None]:
    """Let colliders made meanwhile, where only spheres meet planes, do without the rest.

    They give the same contacts: what is left out are branches that such pairs never take.
    """
    if not are_unchanged(_KNOWN, "the kernel of collisions"):
        yield
        return
    collider_type = importlib.import_module(_COLLIDER).Collider
    upstream = collider_type._init_static_config

    def initialise(collider: Any) -> None:  # noqa: ANN401
        upstream(collider)
        if only_spheres_meet_planes(collider):
            collider.collider_config = _narrowed(collider.collider_config)

    collider_type._init_static_config = initialise
    try:
        yield
    finally:
        collider_type._init_static_config = upstream


def only_spheres_meet_planes(collider: Any) -> bool:  # noqa: ANN401
    """Return whether each pair of shapes that can touch is a sphere and a plane."""
    import genesis as gs

    kinds = [geom.type for geom in collider._solver.geoms]
    wanted = {gs.GEOM_TYPE.PLANE, gs.GEOM_TYPE.SPHERE}
    return all(
        {kinds[one], kinds[other]} == wanted for one, other in collider._valid_collision_pairs
    )


def _narrowed(config: Any) -> Any:  # noqa: ANN401
    """Return what is compiled for a scene whose pairs have a contact each, in closed form."""
    from genesis.engine.solvers.rigid.collider.constants import CCD_ALGORITHM_CODE

    kind = type(config)
    own = {name: getattr(config, name) for name in kind.__annotations__}
    # Of the algorithms for shapes that need one, that which is compiled soonest.
    own["ccd_algorithm"] = CCD_ALGORITHM_CODE.MJ_MPR
    own |= dict.fromkeys(("has_convex_specialization", "has_prunable_contacts"), False)
    return kind(**own)
