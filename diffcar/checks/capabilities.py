"""What of the rigid car and of a soft body can be differentiated, and at which cost, measured."""

from collections.abc import Iterator
from typing import Literal

from torch import Tensor

from diffcar.base.errors import SimulationError
from diffcar.checks.attempts import list_attempts, run_attempt
from diffcar.controllers.config import ControllerConfig
from diffcar.controllers.errors import starts_on_path
from diffcar.controllers.tracking_mlp import build_tracking_mlp
from diffcar.gradients.capabilities import Capability, measure_costs
from diffcar.gradients.certificate import Certificate, attempt, certify
from diffcar.path.config import PathConfig
from diffcar.path.load import load_path
from diffcar.path.reference import ReferencePath
from diffcar.sim.build import build_scene, repair
from diffcar.sim.car import GenesisCar
from diffcar.sim.config import CarConfig, SoftBodyConfig
from diffcar.sim.soft_body import GenesisSoftBody, SoftBodyStart
from diffcar.tasks.pushing.problem import READINGS, input_problem
from diffcar.tasks.tracking.problem import tracking_problem

__all__ = ["car_capabilities", "soft_body_capabilities"]

_RIGID = "rigid"
_MPM = "mpm"
_TOLERANCE = 1e-5
_NUM_CARS = 6
_NUM_BODIES = 4
_READ_STEPS = 3
_PUSH_STEPS = 5
_CAR_STEPS = 20
_REGIMES = {
    "rolling": "wheels roll on a plane",
    "sliding": "wheels slide on a plane",
    "airborne": "no contact",
}


def car_capabilities(config: CarConfig) -> Iterator[Capability]:
    """Measure what of a car can be read, written and touched with gradients, and the time it takes.

    Args:
        config: The scene; its precision must be 64.

    Yields:
        The rows, as they are measured.

    Raises:
        ConfigError: If Genesis runs in this process with other settings.
        SimulationError: If Genesis refuses the scene.
    """
    car = build_scene(config, num_envs=_NUM_CARS, differentiable=True, with_repairs=False)
    path = load_path(PathConfig(source="line")).to(car.dtype, car.device)
    for way in list_attempts(path):
        if way.with_repairs:
            repair(car)
        result = run_attempt(car, way, tolerance=_TOLERANCE)
        detail = result.error or "3 steps"
        yield Capability(_RIGID, way.kind, way.name, result.outcome, result.relative_error, detail)
    yield from _car_contacts(car, path)
    yield from _car_costs(car, path)
    yield from _car_costs(build_scene(config, num_envs=_NUM_CARS, differentiable=False), path)


def _car_contacts(car: GenesisCar, path: ReferencePath) -> Iterator[Capability]:
    """Differentiate through each regime of contact."""
    controller = build_tracking_mlp(
        ControllerConfig(), car.vehicle, dtype=car.dtype, device=car.device
    )
    labels = [(regime, "actions") for regime in _REGIMES for _ in range(_NUM_CARS // len(_REGIMES))]
    problem = tracking_problem(
        car, controller, path, labels, horizon=_CAR_STEPS, tolerance=_TOLERANCE
    )
    for row in certify(problem).rows:
        yield Capability(
            _RIGID,
            "contact",
            _REGIMES[row.regime],
            row.verdict,
            row.summary.worst_relative_error,
            f"by the actions, {_CAR_STEPS} steps",
        )


def _car_costs(car: GenesisCar, path: ReferencePath) -> Iterator[Capability]:
    """Time the steps of a drive."""
    start = starts_on_path(path, 1.0 + car.zeros(car.num_envs))

    def drive() -> Tensor:
        action = car.tensor([0.05, 2.0])
        leaf = action.expand(car.num_envs, 2).clone().requires_grad_(car.differentiable)
        for _ in range(_CAR_STEPS):
            car.apply(leaf)
            car.step()
        return car.read().position.sum()

    return measure_costs(
        _RIGID,
        car,
        reset=lambda: car.reset(start),
        roll_out=drive,
        num_steps=_CAR_STEPS,
        detail=f"{car.num_envs} environments of one car, one substep",
    )


def soft_body_capabilities(config: SoftBodyConfig) -> Iterator[Capability]:
    """Measure what of a soft body can be read and touched with gradients, and the time it takes.

    Args:
        config: The scene; its precision must be 64.

    Yields:
        The rows, as they are measured.

    Raises:
        ConfigError: If Genesis runs in this process with other settings.
        SimulationError: If Genesis refuses the scene itself.
    """
    scene = build_scene(config, num_envs=_NUM_BODIES, differentiable=True)
    yield from _readings(scene, config.material)
    yield from _body_contacts(scene, config.material)
    yield _refusal(config)
    yield from _body_costs(scene)
    plain = build_scene(config, num_envs=_NUM_BODIES, differentiable=False)
    yield from _body_costs(plain)


def _readings(scene: GenesisSoftBody, material: str) -> Iterator[Capability]:
    """Differentiate every field of the state, and what Genesis offers beside the state."""
    for reading in READINGS:
        # Of the tool's own state only its own inputs are a cause.
        source = "tool velocity" if reading.startswith("tool") else "initial velocity"
        found = attempt(
            input_problem(scene, source, _READ_STEPS, material=material, reading=reading)
        )
        name = f"get_state(): {reading.replace('_', ' ')}"
        yield _row_of("read", name, found, f"by the {source}, {_READ_STEPS} steps")
    velocity = scene.zeros(scene.num_envs, 3).requires_grad_()
    scene.reset(SoftBodyStart(velocity, scene.resting_start().tool_position))
    scene.step()
    for name in ("get_particles_pos", "get_particles_vel"):
        tracks = getattr(scene.body, name)().requires_grad
        outcome = "tracks gradients" if tracks else "no gradient"
        detail = f"requires_grad is {tracks} after a taped step"
        yield Capability(_MPM, "read", f"{name}()", outcome, None, detail)


def _body_contacts(scene: GenesisSoftBody, material: str) -> Iterator[Capability]:
    """Differentiate through each kind of contact."""
    beside, inside = (0.0, 0.0, 0.0), (0.5 * float(-scene.rest_tool_position[0]), 0.0, 0.0)
    for name, source, offset in (
        ("body falls on a rigid plane with friction", "initial velocity", beside),
        ("tool pushes the body with friction", "tool velocity", beside),
        ("tool begins half inside the body", "tool velocity", inside),
    ):
        found = attempt(
            input_problem(scene, source, _PUSH_STEPS, material=material, tool_offset=offset)
        )
        num_kinks = found.rows[0].summary.num_kinks
        detail = f"by the {source}, {_PUSH_STEPS} steps, {num_kinks} kinks"
        yield _row_of("contact", name, found, detail)


def _row_of(
    kind: Literal["read", "contact"], name: str, found: Certificate, detail: str
) -> Capability:
    """Return the row of a certificate; what is wrong, if anything is, takes the detail's place."""
    worst = found.rows[0].summary.worst_relative_error
    detail = "; ".join(failure.text for failure in found.failures) or detail
    return Capability(_MPM, kind, name, found.verdict, worst, detail)


def _refusal(config: SoftBodyConfig) -> Capability:
    """Try the contact with thin objects, which Genesis offers without gradients alone."""
    outcome, detail = "accepted", "the scene was built"
    try:
        build_scene(config, num_envs=1, differentiable=True, mpm_options={"enable_CPIC": True})
    except SimulationError as error:
        outcome, detail = "refused", error.message
    return Capability(_MPM, "contact", "thin objects (CPIC)", outcome, None, detail)


def _body_costs(scene: GenesisSoftBody) -> Iterator[Capability]:
    """Time the steps of pushes."""

    def push() -> Tensor:
        velocity = scene.tensor([0.8, 0.0, 0.0])
        leaf = velocity.expand(scene.num_envs, 3).clone().requires_grad_(scene.differentiable)
        for _ in range(_PUSH_STEPS):
            scene.apply(leaf)
            scene.step()
        return scene.read().centroid.sum()

    return measure_costs(
        _MPM,
        scene,
        reset=lambda: scene.reset(scene.resting_start()),
        roll_out=push,
        num_steps=_PUSH_STEPS,
        detail=f"{scene.num_envs} environments of {scene.num_particles} particles, "
        f"{scene.scene.sim.substeps} substeps",
    )
