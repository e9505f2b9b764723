"""What a scene of a soft body is made of: the grid, the body on its plane, the tool beside it."""

from typing import TYPE_CHECKING, Any

import torch

from diffcar.config import SoftBodyConfig
from diffcar.resources import resource_path
from diffcar.sim.repairs.tool_shape import repair_tool_shape

if TYPE_CHECKING:
    from genesis import Scene
    from genesis.engine.entities import MPMEntity
    from genesis.engine.entities.tool_entity.tool_entity import ToolEntity

__all__ = ["add_soft_body", "grid_options", "lay_muscles"]

_CLEARANCE = 0.01
_TOOL_RESOLUTION = 32


def grid_options(config: SoftBodyConfig, **overrides: object) -> Any:  # noqa: ANN401
    """Return Genesis's options of the grid, just large enough.

    Args:
        config: Sizes.
        overrides: Options that replace or extend these.
    """
    import genesis as gs

    half, cell = config.half_width, 1 / config.grid_density
    # The margin of three cells that Genesis keeps free at each side, and one or two to move in.
    top = max(config.body_size, config.tool_size) + 5 * cell
    options: dict[str, Any] = {
        "lower_bound": (-half, -half, -4 * cell),
        "upper_bound": (half, half, top),
        "grid_density": config.grid_density,
        "particle_size": config.particle_size,
        **overrides,
    }
    return gs.options.MPMOptions(**options)


def add_soft_body(scene: "Scene", config: SoftBodyConfig) -> "tuple[MPMEntity, ToolEntity]":
    """Add a plane, a body just above it and a tool just to its left, which is -x.

    Args:
        scene: Not yet built.
        config: Material, sizes and friction.

    Returns:
        The body and the tool.
    """
    import genesis as gs

    side, tool_side = config.body_size, config.tool_size
    scene.add_entity(
        gs.morphs.Plane(), material=gs.materials.Rigid(coup_friction=config.ground_friction)
    )
    body = scene.add_entity(
        gs.morphs.Box(pos=(0, 0, side / 2 + _CLEARANCE), size=(side, side, side)),
        material=_material(config),
    )
    left = -(side + tool_side) / 2 - _CLEARANCE
    tool = scene.add_entity(
        gs.morphs.Mesh(
            file=str(resource_path("assets/block.obj")),
            scale=tool_side,
            pos=(left, 0, tool_side / 2 + _CLEARANCE),
        ),
        material=gs.materials.Tool(friction=config.tool_friction, sdf_res=_TOOL_RESOLUTION),
    )
    repair_tool_shape(tool)
    return body, tool


def lay_muscles(body: "MPMEntity", num_muscles: int) -> None:
    """Divide a body into slabs across y, each a muscle with fibres along x.

    Args:
        body: A body of muscle material in a built scene.
        num_muscles: Number of slabs.
    """
    across = torch.as_tensor(body.init_particles)[:, 1]
    share = (across - across.min()) / (across.max() - across.min())
    body.set_muscle(
        muscle_group=(share * num_muscles).long().clamp(max=num_muscles - 1).int(),
        muscle_direction=torch.eye(3).to(across)[:1].expand(len(across), 3).contiguous(),
    )


def _material(config: SoftBodyConfig) -> Any:  # noqa: ANN401
    """Return the material of the body."""
    import genesis as gs

    options: dict[str, Any] = {
        "E": config.stiffness,
        "rho": config.density,
        "sampler": "regular",
        "model": "corotation" if config.material == "corotated" else "neohooken",
    }
    if config.material == "muscle":
        return gs.materials.MPM.Muscle(n_groups=config.num_muscles, **options)
    return gs.materials.MPM.Elastic(**options)
