"""The one place that builds physics scenes."""

import math
from typing import Any

import torch
from torch import Tensor

from diffcar.base.errors import GradientError
from diffcar.sim.arm import ARM_MODEL, GenesisArm
from diffcar.sim.backend import initialise, translated_errors
from diffcar.sim.car import GenesisCar
from diffcar.sim.config import CarConfig, EngineConfig, SoftBodyConfig
from diffcar.sim.contract import Placement
from diffcar.sim.model.vehicle import Vehicle, load_vehicle
from diffcar.sim.mujoco_car import MuJoCoCar
from diffcar.sim.repairs.control_tape import repair_control_tape
from diffcar.sim.repairs.rolling_contact import repair_rolling_contact
from diffcar.sim.soft_body import GenesisSoftBody, add_soft_body, grid_options, lay_muscles
from diffcar.sim.video import ChaseCamera, FixedCamera

__all__ = [
    "apply_repairs",
    "build_arm_scene",
    "build_mujoco_scene",
    "build_scene",
    "build_soft_body_scene",
    "verify_actuation_gradient",
]


def build_scene(
    config: CarConfig,
    *,
    num_envs: int,
    differentiable: bool,
    vehicle: Vehicle | None = None,
    with_camera: bool = False,
    with_repairs: bool = True,
    with_varied_mass: bool = False,
) -> GenesisCar:
    """Build parallel cars on a plane.

    Args:
        config: Time step, actuation, precision and model.
        num_envs: Number of parallel environments.
        differentiable: Whether `backward` can run through the steps; costs about 14 times a plain
            step at one environment and 8 times at thousands.
        vehicle: The car, if it was loaded already.
        with_camera: Whether the scene can be filmed.
        with_repairs: Whether a differentiable scene is repaired and proves its gradient; without,
            it differentiates as Genesis comes, until `apply_repairs`.
        with_varied_mass: Whether the variation `mass_ratio` may differ between the cars, for which
            Genesis compiles other kernels.

    Returns:
        The scene, at rest.

    Raises:
        ConfigError: If Genesis runs in this process with other settings, or there is no GPU.
        ModelError: If the model is not a usable car.
        SimulationError: If Genesis refuses the scene.
        GradientError: If the gradient of a step disagrees with a finite difference.
    """
    gs = initialise(config)
    vehicle = vehicle or load_vehicle(config.model)
    with translated_errors():
        scene = gs.Scene(
            show_viewer=False,
            sim_options=_sim_options(config, differentiable),
            rigid_options=_rigid_options(
                config, max_contacts=vehicle.max_contacts, batch_links_info=with_varied_mass
            ),
        )
        scene.add_entity(gs.morphs.Plane(), material=gs.materials.Rigid(friction=vehicle.friction))
        # Left alone, Genesis gives joints without armature one of 0.1 kg m²: 39 kg a free wheel.
        entity = scene.add_entity(gs.morphs.MJCF(file=str(vehicle.file), default_armature=None))
        camera = ChaseCamera(scene) if with_camera else None
        scene.build(n_envs=num_envs)
    car = GenesisCar(
        scene, entity, vehicle, num_envs=num_envs, actuation=config.actuation, camera=camera
    )
    if differentiable:
        # Not a matter of right or wrong: it lets control be written under `torch.no_grad`.
        repair_control_tape(entity, with_targets=False)
    car.settle()
    if differentiable and with_repairs:
        apply_repairs(car)
        verify_actuation_gradient(car)
    return car


def build_mujoco_scene(
    config: CarConfig,
    *,
    num_envs: int,
    vehicle: Vehicle | None = None,
    dtype: torch.dtype = torch.float32,
) -> MuJoCoCar:
    """Build parallel cars on a plane in MuJoCo, without Genesis and without gradients.

    Args:
        config: Time step, actuation and model; its backend and precision are Genesis's.
        num_envs: Number of cars.
        vehicle: The car, if it was loaded already.
        dtype: Precision of what the scene reports; it computes in float64.

    Returns:
        The scene, at rest.

    Raises:
        ModelError: If the model is not a usable car.
    """
    return MuJoCoCar(
        vehicle or load_vehicle(config.model),
        num_envs=num_envs,
        dt=config.dt,
        substeps=config.substeps,
        actuation=config.actuation,
        dtype=dtype,
    )


def apply_repairs(car: GenesisCar) -> None:
    """Make the gradients of a differentiable scene right where Genesis has them wrong.

    Args:
        car: Built with or without repairs.

    Raises:
        SimulationError: If the installed Genesis is not the one that is repaired.
    """
    repair_control_tape(car.entity)
    repair_rolling_contact(car.scene)


def build_arm_scene(
    config: EngineConfig,
    *,
    num_envs: int,
    differentiable: bool,
    with_ground: bool,
    with_camera: bool = False,
) -> GenesisArm:
    """Build parallel Franka arms, from the model that comes with Genesis.

    Args:
        config: Time step, substeps, backend and precision.
        num_envs: Number of parallel environments.
        differentiable: Whether `backward` can run through the steps.
        with_ground: Whether there is a plane to touch.
        with_camera: Whether the scene can be filmed.

    Returns:
        The scene, not yet reset.

    Raises:
        ConfigError: If Genesis runs in this process with other settings, or there is no GPU.
        SimulationError: If Genesis refuses the scene.
    """
    gs = initialise(config)
    with translated_errors():
        scene = gs.Scene(
            show_viewer=False,
            sim_options=_sim_options(config, differentiable),
            # One contact point a pair of bodies: those that Genesis finds besides, by tilting the
            # bodies, depend on the pose in ways that its reverse pass leaves out, and made
            # gradients of a hand flat on the ground wrong by up to four percent.
            rigid_options=_rigid_options(config, enable_multi_contact=False),
        )
        if with_ground:
            scene.add_entity(gs.morphs.Plane())
        entity = scene.add_entity(gs.morphs.MJCF(file=ARM_MODEL))
        camera = FixedCamera(scene) if with_camera else None
        scene.build(n_envs=num_envs)
    arm = GenesisArm(scene, entity, num_envs=num_envs, camera=camera)
    if differentiable:
        repair_control_tape(entity)
    return arm


def build_soft_body_scene(
    config: SoftBodyConfig,
    *,
    num_envs: int,
    differentiable: bool,
    with_repairs: bool = True,
    **mpm_options: object,
) -> GenesisSoftBody:
    """Build parallel soft bodies on a plane, each with a tool to its left.

    Args:
        config: Material, sizes, friction, time step and precision.
        num_envs: Number of parallel environments.
        differentiable: Whether `backward` can run through the steps.
        with_repairs: Whether a differentiable scene is repaired; without, it differentiates as
            Genesis comes, until `GenesisSoftBody.repair`. The tool's shape is right in any case.
        mpm_options: Further options of Genesis's MPM solver.

    Returns:
        The scene, not yet reset.

    Raises:
        ConfigError: If Genesis runs in this process with other settings, or there is no GPU.
        SimulationError: If Genesis refuses the scene.
    """
    gs = initialise(config)
    with translated_errors():
        scene = gs.Scene(
            show_viewer=False,
            sim_options=_sim_options(config, differentiable),
            rigid_options=_rigid_options(config),
            mpm_options=grid_options(config, **mpm_options),
        )
        body, tool = add_soft_body(scene, config)
        scene.build(n_envs=num_envs)
    num_muscles = config.num_muscles if config.material == "muscle" else 0
    if num_muscles:
        lay_muscles(body, num_muscles)
    soft_body = GenesisSoftBody(scene, body, tool, num_envs=num_envs, num_muscles=num_muscles)
    if differentiable and with_repairs:
        soft_body.repair()
    return soft_body


def verify_actuation_gradient(car: GenesisCar) -> None:
    """Prove on one step that the gradient of the joint velocities by the action is right.

    Cars roll at 1.5 m/s; the directional derivative of a random projection of their velocities
    after one step, along a random change of the action, must agree with a central difference.

    Args:
        car: A differentiable scene; it is left in the state after the check.

    Raises:
        GradientError: If the two disagree or the difference vanishes.
    """
    generator = torch.Generator().manual_seed(0)
    ones = torch.ones(car.num_envs, dtype=car.dtype, device=car.device)
    start = Placement(torch.stack([0 * ones, 0 * ones], -1), 0 * ones, 1.5 * ones, 0 * ones)
    weights = torch.randn(car.entity.n_dofs, generator=generator).to(ones)
    direction = torch.randn(2, generator=generator).to(ones)
    action = torch.tensor([0.1, 1.6]).to(ones)

    def projected_velocity(command: Tensor) -> Tensor:
        car.reset(start)
        car.apply(command.expand(car.num_envs, 2))
        car.step()
        return (car.read().dofs_velocity * weights).sum(-1).mean()

    leaf = action.clone().requires_grad_()
    car.backward(projected_velocity(leaf))
    analytic = math.nan if leaf.grad is None else float(leaf.grad @ direction)
    step_size = 1e-2
    with torch.no_grad():
        ahead = projected_velocity(action + step_size * direction)
        behind = projected_velocity(action - step_size * direction)
    numeric = float(ahead - behind) / (2 * step_size)
    tolerance = 1e-2 if car.dtype == torch.float32 else 1e-4
    error = abs(analytic - numeric) / max(abs(analytic), abs(numeric), 1e-12)
    if not (error <= tolerance and abs(numeric) > 1e-3):
        raise GradientError(
            f"the gradient of one {car.actuation} step is {analytic:.6g}, by finite differences it "
            f"is {numeric:.6g}",
            hint="either the installed Genesis does not differentiate this actuation (install "
            "genesis-world 1.4.5, or try the other actuation), or the model's servos are at their "
            "limits when the car rolls at 1.5 m/s",
        )


def _sim_options(config: EngineConfig, differentiable: bool) -> Any:  # noqa: ANN401
    """Return the options of time and gradients."""
    import genesis as gs

    return gs.options.SimOptions(
        dt=config.dt, substeps=config.substeps, requires_grad=differentiable
    )


def _rigid_options(config: EngineConfig, **overrides: object) -> Any:  # noqa: ANN401
    """Return rigid solver options that fit the precision."""
    import genesis as gs

    # max_contacts: the default sizes every constraint array for 20 contacts a pair; the backward
    # pass is 15 to 25 % faster with room for what the model's geometries can make.
    options: dict[str, Any] = {"enable_self_collision": False, **overrides}
    if config.precision == 64:
        # The gradient is that of the converged solution, so differences need a converged one, too.
        # At 1e-10 a friction cone's edge within 1e-5 of letting go was still on the wrong side.
        options |= {"iterations": 50, "tolerance": 1e-14}
    return gs.options.RigidOptions(**options)
