"""What of the rigid car and of a soft body can be differentiated, and at which cost, measured."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Literal

from torch import Tensor

from diffcar.base.errors import SimulationError
from diffcar.base.table import Column, Table
from diffcar.checks.attempts import try_attempts
from diffcar.checks.bench import CarBench
from diffcar.checks.config import CheckGradConfig
from diffcar.controllers.errors import starts_on_path
from diffcar.gradients.capabilities import Capability, measure_costs, outcome_column
from diffcar.gradients.certificate import Certificate, attempt, certify
from diffcar.path.reference import ReferencePath
from diffcar.sim.build import build_scene, equip
from diffcar.sim.car import GenesisCar
from diffcar.sim.config import SoftBodyConfig
from diffcar.sim.model.read import load_vehicle
from diffcar.sim.soft_body import GenesisSoftBody, SoftBodyStart
from diffcar.tasks.pushing.problem import READINGS, input_problem

__all__ = ["capabilities_table", "car_capabilities", "row_of", "soft_body_capabilities"]

_RIGID = "rigid"
_MPM = "mpm"
_KINDS = ("read", "write", "contact", "cost")
_TOLERANCE = 1e-5
_NUM_BODIES = 4
_READ_STEPS = 3
_PUSH_STEPS = 5
_CAR_STEPS = 20
_REGIMES = {
    "rolling": "wheels roll on a plane",
    "sliding": "wheels slide on a plane",
    "airborne": "no contact",
}
_CARS = [(regime, "actions") for regime in _REGIMES for _ in range(2)]


def car_capabilities(config: CheckGradConfig) -> Iterator[Capability]:
    """Measure what of a car can be read, written and touched with gradients, and the time it takes.

    The precision must be 64; rows come as they are measured.
    """
    bench = CarBench(config, load_vehicle(), _CARS)
    for _, found in try_attempts(bench.scene, bench.path, tolerance=_TOLERANCE):
        yield replace(found, detail=found.detail or "3 steps")
    equip(bench.scene)
    detail = f"by the actions, {_CAR_STEPS} steps"
    for row in certify(replace(bench.problem(_CAR_STEPS), tolerance=_TOLERANCE)).rows:
        worst = row.summary.worst_relative_error
        yield Capability(_RIGID, "contact", _REGIMES[row.regime], row.verdict, worst, detail)
    plain = build_scene(config, num_envs=len(_CARS), differentiable=False)
    for scene in (bench.scene, plain):
        yield from _car_costs(scene, bench.path)


def _car_costs(car: GenesisCar, path: ReferencePath) -> Iterator[Capability]:
    """Time the steps of a drive."""
    start = starts_on_path(path, 1.0 + car.zeros(car.num_envs))
    return measure_costs(
        _RIGID,
        car,
        reset=lambda: car.reset(start),
        roll_out=_applying(car, [0.05, 2.0], _CAR_STEPS, lambda: car.read().position),
        num_steps=_CAR_STEPS,
        detail=f"{car.num_envs} environments of one car, one substep",
    )


def _applying(
    scene: GenesisCar | GenesisSoftBody,
    action: Sequence[float],
    num_steps: int,
    read: Callable[[], Tensor],
) -> Callable[[], Tensor]:
    """Return what applies an action for some steps and adds up what is read then."""

    def roll_out() -> Tensor:
        rows = scene.tensor(action).expand(scene.num_envs, len(action)).clone()
        leaf = rows.requires_grad_(scene.differentiable)
        for _ in range(num_steps):
            scene.apply(leaf)
            scene.step()
        return read().sum()

    return roll_out


def soft_body_capabilities(config: SoftBodyConfig) -> Iterator[Capability]:
    """Measure what of a soft body can be read and touched with gradients, and the time it takes.

    The precision must be 64; rows come as they are measured.
    """
    scene = build_scene(config, num_envs=_NUM_BODIES, differentiable=True)
    yield from _readings(scene, config.material)
    yield from _body_contacts(scene, config.material)
    yield _refusal(config)
    yield from _body_costs(scene)
    yield from _body_costs(build_scene(config, num_envs=_NUM_BODIES, differentiable=False))


def _readings(scene: GenesisSoftBody, material: str) -> Iterator[Capability]:
    """Differentiate every field of the state, and what Genesis offers beside the state."""
    for reading in READINGS:
        # Of the tool's own state only its own inputs are a cause.
        source = "tool velocity" if reading.startswith("tool") else "initial velocity"
        problem = input_problem(scene, source, _READ_STEPS, material=material, reading=reading)
        name = f"get_state(): {reading.replace('_', ' ')}"
        yield row_of("read", name, attempt(problem), f"by the {source}, {_READ_STEPS} steps")
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
        detail = f"by the {source}, {_PUSH_STEPS} steps, {found.summary.num_kinks} kinks"
        yield row_of("contact", name, found, detail)


def row_of(
    kind: Literal["read", "write", "contact"], name: str, found: Certificate, detail: str
) -> Capability:
    """Return a soft body's row; what is wrong, if anything is, takes the detail's place."""
    worst = found.summary.worst_relative_error
    return Capability(_MPM, kind, name, found.verdict, worst, found.told or detail)


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
    return measure_costs(
        _MPM,
        scene,
        reset=lambda: scene.reset(scene.resting_start()),
        roll_out=_applying(scene, [0.8, 0.0, 0.0], _PUSH_STEPS, lambda: scene.read().centroid),
        num_steps=_PUSH_STEPS,
        detail=f"{scene.num_envs} environments of {scene.num_particles} particles, "
        f"{scene.scene.sim.substeps} substeps",
    )


def capabilities_table(rows: Sequence[Capability]) -> Table[Capability]:
    """Return what rigid and MPM entities can and cannot differentiate."""
    return Table(
        "what rigid and MPM entities can differentiate, measured just now, with diffcar's repairs "
        "where nothing else is said",
        (
            Column("what", lambda row: row.kind),
            Column("entity", lambda row: row.entity),
            Column("name", lambda row: row.name),
            outcome_column("outcome", lambda row: row.outcome),
            Column("error\nor cost", lambda row: row.figure),
            Column("detail", lambda row: row.detail),
        ),
        sorted(rows, key=lambda row: _KINDS.index(row.kind)),
        section=lambda row: row.kind,
    )
