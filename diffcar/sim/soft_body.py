"""An elastic body of MPM particles that falls, contracts and is pushed, in Genesis."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from diffcar.base.errors import SimulationError
from diffcar.base.files import resource_path
from diffcar.sim.config import SoftBodyConfig
from diffcar.sim.genesis_scene import GenesisScene
from diffcar.sim.repairs.tool_shape import repair_tool_shape

if TYPE_CHECKING:
    from genesis import Scene
    from genesis.engine.entities import MPMEntity
    from genesis.engine.entities.tool_entity.tool_entity import ToolEntity

__all__ = ["GenesisSoftBody", "SoftBodyStart", "SoftBodyState"]


@dataclass(frozen=True)
class SoftBodyStart:
    """Where body and tool begin; the body always begins undeformed where it was built."""

    body_velocity: Tensor
    """Of the whole body, shape (B, 3), or of each particle, shape (B, N, 3) [m/s]."""
    tool_position: Tensor
    """Centre of the tool [m], shape (B, 3); the tool begins upright and at rest."""


@dataclass(frozen=True)
class SoftBodyState:
    """What body and tool report."""

    particle_positions: Tensor
    """Of each particle [m], shape (B, N, 3)."""
    particle_velocities: Tensor
    """Of each particle [m/s], shape (B, N, 3)."""
    deformation_gradients: Tensor
    """Deformation gradient F of each particle, shape (B, N, 3, 3)."""
    affine_velocities: Tensor
    """Gradient C of the velocity around each particle [1/s], shape (B, N, 3, 3)."""
    tool_position: Tensor
    """Centre of the tool [m], shape (B, 3)."""

    @property
    def centroid(self) -> Tensor:
        """Centre of mass of the body [m], shape (B, 3); all particles weigh the same."""
        return self.particle_positions.mean(1)

    @property
    def velocity(self) -> Tensor:
        """Velocity of the centre of mass [m/s], shape (B, 3)."""
        return self.particle_velocities.mean(1)


class GenesisSoftBody(GenesisScene[SoftBodyState]):
    """Parallel soft bodies on a plane, each with a tool that nothing can stop; not yet reset.

    The tool moves as commanded and pushes; the body does not push back. Contact is resolved at the
    nodes of the grid, so the gradient is that of a node entering or leaving the tool almost
    everywhere, and has a kink where one does. The tool's shape is right also without repairs.
    """

    def __init__(
        self,
        config: SoftBodyConfig,
        num_envs: int,
        *,
        differentiable: bool = False,
        mpm_options: Mapping[str, object] | None = None,
    ) -> None:
        mpm = {**_grid_options(config), **(mpm_options or {})}
        with self._building(config, num_envs, differentiable, mpm=mpm) as scene:
            self.body, self.tool = _add_body_and_tool(scene, config)
        self.num_muscles = config.num_muscles if config.material == "muscle" else 0
        if self.num_muscles:
            _lay_muscles(self.body, self.num_muscles)
        self.num_particles = int(self.body.n_particles)
        self.rest_tool_position = self.tensor(self.tool.init_pos)
        self._start: SoftBodyStart | None = None

    def resting_start(self) -> SoftBodyStart:
        """Return a start at rest, the tool where it was built."""
        tool = self.rest_tool_position.expand(self.num_envs, 3)
        return SoftBodyStart(self.zeros(self.num_envs, 3), tool)

    def reset(self, start: SoftBodyStart) -> None:
        """Place body and tool; begins a new graph, which a tracked `body_velocity` is part of."""
        given = start.body_velocity
        velocity = given[:, None] if given.dim() == 2 else given
        velocity = velocity.expand(self.num_envs, self.num_particles, 3).contiguous()
        self._rewind()
        # Both are inputs of the first step, which alone puts them into the simulator.
        self.body.set_velocity(velocity)
        self.move_tool(position=start.tool_position, velocity=self.zeros(self.num_envs, 3))
        self._start = replace(start, body_velocity=velocity)

    def apply(self, action: Tensor) -> None:
        """Command the tool's velocity [m/s], shape (B, 3), from the next step on."""
        self.move_tool(velocity=action)

    def move_tool(
        self,
        *,
        velocity: Tensor | None = None,
        angular_velocity: Tensor | None = None,
        position: Tensor | None = None,
        quaternion: Tensor | None = None,
    ) -> None:
        """Overwrite what the tool does from the next step on.

        Args:
            velocity: Of its centre [m/s], shape (B, 3).
            angular_velocity: About the world's axes [rad/s], shape (B, 3); the gradient by a rate
                of exactly zero is zero, which is wrong: Genesis does not turn the tool there.
            position: Of its centre [m], shape (B, 3).
            quaternion: Its orientation (w, x, y, z) of norm one, shape (B, 4).
        """
        writes = {
            "velocity": (velocity, lambda value: self.tool.set_velocity(vel=value)),
            "angular velocity": (angular_velocity, lambda value: self.tool.set_velocity(ang=value)),
            "position": (position, self.tool.set_position),
            "quaternion": (quaternion, self.tool.set_quaternion),
        }
        self.last_command = {}
        for name, (value, write) in writes.items():
            if value is not None:
                handed = value.to(self.dtype).contiguous()
                write(handed)
                self.last_command[f"command: tool {name}"] = handed

    def actuate(self, activation: Tensor) -> None:
        """Contract the muscles from the next step on.

        `activation` is the stress of its fibres over the stiffness, shape (B, num_muscles).

        Raises:
            SimulationError: If the body has no muscles.
        """
        if not self.num_muscles:
            hint = "build it of the material `muscle`"
            raise SimulationError("this soft body has no muscles", hint)
        shape = (self.num_envs, self.num_particles, self.num_muscles)
        handed = activation[:, None].expand(shape).contiguous()
        self.body.set_actuation(handed)
        self.last_command = {"command: muscle activation": handed}

    def step(self) -> None:
        """Advance all bodies by `dt`."""
        super().step()
        self._start = None

    def _read(self) -> SoftBodyState:
        """Read the state from the entities, or what the first step will begin from."""
        body, tool = self.body.get_state(), self.tool.get_state()
        state = SoftBodyState(body.pos, body.vel, body.F, body.C, tool.pos)
        if self._start is None:
            return state
        return replace(
            state,
            particle_velocities=self._start.body_velocity,
            tool_position=self._start.tool_position,
        )


_CLEARANCE = 0.01
_TOOL_RESOLUTION = 32


def _grid_options(config: SoftBodyConfig) -> dict[str, object]:
    """Return Genesis's MPM options of a grid that is just large enough."""
    half, cell = config.half_width, 1 / config.grid_density
    # The margin of three cells that Genesis keeps free at each side, and one or two to move in.
    top = max(config.body_size, config.tool_size) + 5 * cell
    return {
        "lower_bound": (-half, -half, -4 * cell),
        "upper_bound": (half, half, top),
        "grid_density": config.grid_density,
        "particle_size": config.particle_size,
    }


def _add_body_and_tool(scene: "Scene", config: SoftBodyConfig) -> "tuple[MPMEntity, ToolEntity]":
    """Add a plane, a body just above it and a tool just to its left, to a scene not yet built."""
    import genesis as gs

    side, tool_side = config.body_size, config.tool_size
    ground = gs.materials.Rigid(coup_friction=config.ground_friction)
    scene.add_entity(gs.morphs.Plane(), material=ground)
    block = gs.morphs.Box(pos=(0, 0, side / 2 + _CLEARANCE), size=(side, side, side))
    model = "corotation" if config.material == "corotated" else "neohooken"
    options = {"E": config.stiffness, "rho": config.density, "sampler": "regular", "model": model}
    if config.material == "muscle":
        material = gs.materials.MPM.Muscle(n_groups=config.num_muscles, **options)
    else:
        material = gs.materials.MPM.Elastic(**options)
    body = scene.add_entity(block, material=material)
    place = (-(side + tool_side) / 2 - _CLEARANCE, 0, tool_side / 2 + _CLEARANCE)
    file = str(resource_path("assets/block.obj"))
    tool = scene.add_entity(
        gs.morphs.Mesh(file=file, scale=tool_side, pos=place),
        material=gs.materials.Tool(friction=config.tool_friction, sdf_res=_TOOL_RESOLUTION),
    )
    repair_tool_shape(tool)
    return body, tool


def _lay_muscles(body: "MPMEntity", num_muscles: int) -> None:
    """Divide a body of a built scene into slabs across y, each a muscle with fibres along x."""
    across = torch.as_tensor(body.init_particles)[:, 1]
    share = (across - across.min()) / (across.max() - across.min())
    body.set_muscle(
        muscle_group=(share * num_muscles).long().clamp(max=num_muscles - 1).int(),
        muscle_direction=torch.eye(3).to(across)[:1].expand(len(across), 3).contiguous(),
    )
