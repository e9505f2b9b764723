"""The one place that builds physics scenes, and repairs those of others."""

import inspect
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, overload

import torch
from torch import Tensor

from diffcar.base.errors import ConfigError, GradientError, SimulationError
from diffcar.base.log import logger
from diffcar.sim.arm import GenesisArm
from diffcar.sim.car import GenesisCar
from diffcar.sim.config import ENGINES, ArmConfig, CarConfig, EngineConfig, SoftBodyConfig
from diffcar.sim.contract import CarScene, Placement, Scene
from diffcar.sim.fast_paths import take_fast_paths
from diffcar.sim.genesis_scene import GenesisScene
from diffcar.sim.model.vehicle import Vehicle
from diffcar.sim.mujoco_car import MuJoCoCar
from diffcar.sim.repairs import REPAIRS
from diffcar.sim.soft_body import GenesisSoftBody
from diffcar.sim.startup import save_kernels

if TYPE_CHECKING:
    import genesis

__all__ = [
    "GENESIS",
    "MUJOCO",
    "Engine",
    "build_scene",
    "equip",
    "repair",
    "verify_actuation_gradient",
]

_CAR = CarConfig()


@overload
def build_scene(
    config: CarConfig = _CAR,
    *,
    num_envs: int,
    engine: str,
    **options: Any,  # noqa: ANN401
) -> CarScene: ...
@overload
def build_scene(config: CarConfig = _CAR, *, num_envs: int, **options: Any) -> GenesisCar: ...  # noqa: ANN401
@overload
def build_scene(config: ArmConfig, *, num_envs: int, **options: Any) -> GenesisArm: ...  # noqa: ANN401
@overload
def build_scene(config: SoftBodyConfig, *, num_envs: int, **options: Any) -> GenesisSoftBody: ...  # noqa: ANN401
def build_scene(
    config: EngineConfig = _CAR,
    *,
    num_envs: int,
    differentiable: bool = False,
    engine: str = "genesis",
    vehicle: Vehicle | None = None,
    with_camera: bool = False,
    with_repairs: bool = True,
    **options: Any,
) -> Scene[Any]:
    """Build what a config describes, many times in parallel: cars at rest, others not yet reset.

    Args:
        differentiable: Whether `backward` can run through the steps; costs about 14 times a plain
            step at one environment and 8 times at thousands.
        engine: One of `ENGINES`.
        vehicle: The car, if it was loaded already.
        with_camera: Whether the scene can be filmed.
        with_repairs: Whether a differentiable scene is repaired and takes diffcar's fast paths, and
            a car proves its gradient; without, it differentiates as Genesis comes, until `equip`.
        options: Of cars in Genesis, `with_varied_mass`: whether `mass_ratio` and `mass_shift` may
            differ between them, for which Genesis compiles other kernels. Of arms, `with_ground`:
            whether there is a plane to touch. Of soft bodies, `mpm_options` of Genesis's solver.

    Raises:
        ConfigError: If Genesis runs in this process with other settings, there is no GPU, or the
            engine cannot do what is asked for.
        ModelError: If the model is not a usable car.
        SimulationError: If Genesis refuses the scene.
        GradientError: If the gradient of a step disagrees with a finite difference.
    """
    asked = {"differentiable": differentiable, "vehicle": vehicle, "with_camera": with_camera}
    options |= {name: value for name, value in asked.items() if value}
    simulator = ENGINES[engine]
    if not isinstance(simulator, Engine):
        raise ENGINES.refusal(engine, simulator)
    build = _builder(simulator, config, set(options))
    kind = "differentiable" if differentiable else "plain"
    slow = " (a minute or two the first time)" if engine == "genesis" else ""
    logger.info(f"building a {kind} scene in {simulator.label}, {num_envs} at once{slow}")
    scene = build(config, num_envs, **options)
    if differentiable and with_repairs and isinstance(scene, GenesisScene):
        equip(scene)
        if isinstance(scene, GenesisCar):
            verify_actuation_gradient(scene)
            save_kernels()
    return scene


def _builder(
    engine: "Engine", config: EngineConfig, options: set[str]
) -> Callable[..., Scene[Any]]:
    """Return what builds the scene of a config, unless nothing does, or not with these options."""
    refusal = f"{engine.label} builds no scene of {type(config).__name__}"
    for kind, build in engine.builders.items():
        if isinstance(config, kind):
            if unknown := options - inspect.signature(build).parameters.keys():
                raise ConfigError(f"{refusal} with {', '.join(sorted(unknown))}", "leave it out")
            return build
    known = ", ".join(kind.__name__ for kind in engine.builders)
    raise ConfigError(refusal, hint=f"it builds those of {known}")


def repair(scene: "GenesisScene[Any] | genesis.Scene") -> list[str]:
    """Make the gradients of a built scene right where Genesis has them wrong or withholds them.

    It may be one of diffcar's, or built with Genesis alone. A plain one has no gradients, and is
    left as it is. Returns the repairs that it had a use for, by their names in `REPAIRS`.

    Raises:
        SimulationError: If the scene is not built, or this Genesis lacks what a repair rests on.
    """
    bare = scene.scene if isinstance(scene, GenesisScene) else scene
    if not bare.is_built:
        raise SimulationError("the scene is not built yet", hint="repair it after scene.build()")
    if not bare.requires_grad:
        return []
    return [name for name, apply in REPAIRS.items() if apply(bare)]


def equip(scene: "GenesisScene[Any]") -> None:
    """Repair a differentiable scene and let it take diffcar's fast paths: so training has it.

    Raises:
        SimulationError: If this Genesis lacks what a repair rests on.
    """
    repair(scene)
    scene.fast_paths = take_fast_paths(scene.scene)


def verify_actuation_gradient(car: GenesisCar) -> None:
    """Prove on one step that the gradient of the joint velocities by the action is right.

    Cars roll at 1.5 m/s, if they are of the shipped one's size; the directional derivative of a
    random projection of their velocities after one step, along a random change of the action, must
    agree with a central difference. They are left in the state after it.

    Raises:
        GradientError: If the two disagree or the difference vanishes.
    """
    generator = torch.Generator().manual_seed(0)
    root = car.vehicle.root_size
    start = Placement.at_origin(torch.full_like(car.zeros(car.num_envs), 1.5 * root))
    weights = torch.randn(car.entity.n_dofs, generator=generator).to(start.speed)
    direction = torch.randn(2, generator=generator).to(start.speed)
    action = torch.tensor([0.1, 1.6 * root]).to(start.speed)

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


@dataclass(frozen=True)
class Engine:
    """What simulates."""

    label: str
    """How it writes itself."""
    builders: Mapping[type[EngineConfig], Callable[..., Scene[Any]]]
    """What builds so many environments, by the type of the config, with which options."""


GENESIS = Engine(
    "Genesis", {CarConfig: GenesisCar, ArmConfig: GenesisArm, SoftBodyConfig: GenesisSoftBody}
)
MUJOCO = Engine("MuJoCo", {CarConfig: MuJoCoCar})
