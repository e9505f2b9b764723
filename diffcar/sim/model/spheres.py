"""Wheels of any shape made spheres of their radius, which both engines roll alike."""

import math
from typing import TYPE_CHECKING

from diffcar.sim.model.layout import Layout
from diffcar.sim.model.model_file import UnfitError, collides, shape_name
from diffcar.sim.model.search import Found, Tyre, tyre_of

if TYPE_CHECKING:
    import mujoco

__all__ = ["collide_as_spheres"]

# Of the radius: how far the wheels' radii may differ to be meant for one.
_ONE_RADIUS = 0.02


def collide_as_spheres(
    spec: "mujoco.MjSpec", model: "mujoco.MjModel", layout: Layout, found: Found, *, is_urdf: bool
) -> list[str]:
    """Let each wheel collide as a sphere, and nothing else of the car.

    Raises:
        UnfitError: If their radii differ by more than a slip, or one has nothing round about it.
    """
    tyres = {name: _tyre(model, layout, name) for name in found.wheels}
    radius, notes = _one_radius(tyres)
    friction = _one_friction(model, tyres)
    if is_urdf:
        notes.append(f"friction {friction:g} of the wheels, since URDF has none")
    kinds = sorted({shape_name(model.geom_type[tyre.geom]) for tyre in tyres.values()} - {"sphere"})
    if kinds:
        notes.append(
            f"the wheels collide as spheres of {radius:.4g} m and show as they did "
            f"({', '.join(kinds)}): --wheels as-is keeps what collides"
        )
    if shown_only := [name for name, tyre in tyres.items() if not tyre.collides]:
        notes.append(f"their looks say how large these wheels are: {', '.join(shown_only)}")
    wheels = {int(model.joint(name).bodyid[0]) for name in found.wheels}
    bodies = model.body_weldid[model.geom_bodyid]
    beside = [geom for geom in range(model.ngeom) if int(bodies[geom]) not in wheels]
    if num_others := sum(collides(model, geom) for geom in beside):
        notes.append(
            f"the wheels alone touch the road, what else collides ({num_others}) only shows"
        )
    _lay_spheres(spec, model, layout, tyres, radius=radius, friction=friction)
    return notes


def _tyre(model: "mujoco.MjModel", layout: Layout, name: str) -> Tyre:
    """Return the round shape of a wheel."""
    tyre = tyre_of(model, layout, name)
    if tyre is None:
        raise UnfitError(
            f"the wheel on {name!r} has nothing round about its axle",
            "give it a sphere or a cylinder of its radius as <collision> (MJCF: a geom)",
        )
    return tyre


def _one_radius(tyres: dict[str, Tyre]) -> tuple[float, list[str]]:
    """Return the mean radius [m], and what is to be said where the wheels' are not quite it."""
    radii = [tyre.radius for tyre in tyres.values()]
    radius, spread = sum(radii) / len(radii), max(radii) - min(radii)
    told = ", ".join(f"{name} {tyre.radius:.4g} m" for name, tyre in tyres.items())
    if spread > _ONE_RADIUS * radius:
        raise UnfitError(
            f"diffcar drives cars on four wheels of one radius, and here they differ: {told}",
            f"give all of them the same, such as their mean, {radius:.4g} m, and their axles one "
            "height",
        )
    is_slip = spread > 1e-6 * radius
    return radius, [f"the wheels' radii are taken for {radius:.4g} m: {told}"] if is_slip else []


def _one_friction(model: "mujoco.MjModel", tyres: dict[str, Tyre]) -> float:
    """Return the sliding friction of all wheels."""
    frictions = {float(model.geom_friction[tyre.geom][0]) for tyre in tyres.values()}
    if len(frictions) > 1:
        raise UnfitError(
            f"the wheels differ in friction: {', '.join(f'{own:g}' for own in sorted(frictions))}",
            "give all of them the same",
        )
    return frictions.pop()


def _lay_spheres(
    spec: "mujoco.MjSpec",
    model: "mujoco.MjModel",
    layout: Layout,
    tyres: dict[str, Tyre],
    *,
    radius: float,
    friction: float,
) -> None:
    """Let a sphere on each axle collide, and nothing else."""
    import mujoco

    contact = {"contype": 1, "conaffinity": 1, "condim": 3, "friction": [friction, 0, 0]}
    contact |= {"size": [radius, 0, 0], "priority": 0, "solmix": 1.0, "margin": 0.0, "gap": 0.0}
    geoms = {geom.id: geom for geom in spec.geoms}
    for geom in geoms.values():
        geom.contype = geom.conaffinity = 0
    for name, tyre in tyres.items():
        if tyre.collides and shape_name(model.geom_type[tyre.geom]) == "sphere":
            for field, value in contact.items():
                setattr(geoms[tyre.geom], field, value)
            continue
        spec.joint(name).parent.add_geom(
            type=mujoco.mjtGeom.mjGEOM_SPHERE,
            pos=layout.local_place(name, tyre.centre),
            fromto=[math.nan] * 6,  # in case the model's defaults set one
            mass=0.0,
            group=3,
            rgba=[0, 0, 0, 0],
            **contact,
        )
