"""What of a soft body can be differentiated, and at which cost, from measurements."""

import statistics
import time
from collections.abc import Callable, Iterable, Iterator

import torch

from diffcar.base.errors import SimulationError
from diffcar.gradients.capabilities import Capability
from diffcar.sim.build import build_scene
from diffcar.sim.config import SoftBodyConfig
from diffcar.sim.soft_body import GenesisSoftBody
from diffcar.tasks.pushing.problem import READINGS, SoftBodyCheck, check_input

__all__ = ["soft_body_capabilities"]

_ENTITY = "mpm"
_READ_HORIZON = 3
_COST_STEPS = 5
_COST_REPEATS = 3


def soft_body_capabilities(
    config: SoftBodyConfig,
    checks: Iterable[SoftBodyCheck],
    *,
    num_envs: int = 4,
    build: Callable[..., GenesisSoftBody] = build_scene,
) -> Iterator[Capability]:
    """Measure what can be read, written and touched with gradients, and the time it takes.

    Args:
        config: The scene; its precision must be 64.
        checks: The certified inputs (see `check_soft_body`), which become the rows of kind `write`.
        num_envs: Number of parallel environments.
        build: Builds the scene.

    Yields:
        The rows, as they are measured.

    Raises:
        ConfigError: If Genesis runs in this process with other settings.
        SimulationError: If Genesis refuses the scene itself.
    """
    for check in checks:
        yield _row_of_check(check)
    scene = build(config, num_envs=num_envs, differentiable=True)
    yield from _readings(scene, config.material)
    yield from _contacts(scene, config.material)
    yield _refusal(config, build)
    yield from _costs(scene, "differentiable")
    plain = build(config, num_envs=num_envs, differentiable=False)
    yield from _costs(plain, "plain")


def _row_of_check(check: SoftBodyCheck) -> Capability:
    """Turn the check of an input into a row."""
    repair = "repaired" if check.is_repaired else "as Genesis comes"
    return Capability(
        entity=_ENTITY,
        kind="write",
        name=f"{check.input} ({check.material})",
        outcome=check.verdict,
        figure=_finite(check.worst_relative_error),
        detail=check.detail or f"{check.horizon} steps, {repair}",
    )


def _readings(scene: GenesisSoftBody, material: str) -> Iterator[Capability]:
    """Differentiate every field of the state, and what Genesis offers beside the state."""
    for reading in READINGS:
        # Of the tool's own state only its own inputs are a cause.
        source = "tool velocity" if reading.startswith("tool") else "initial velocity"
        check = check_input(scene, source, _READ_HORIZON, material=material, reading=reading)
        yield Capability(
            entity=_ENTITY,
            kind="read",
            name=f"get_state(): {reading.replace('_', ' ')}",
            outcome=check.verdict,
            figure=_finite(check.worst_relative_error),
            detail=check.detail or f"by the {source}, {_READ_HORIZON} steps",
        )
    velocity = scene.zeros(scene.num_envs, 3).requires_grad_()
    scene.reset(type(scene.resting_start())(velocity, scene.resting_start().tool_position))
    scene.step()
    for name in ("get_particles_pos", "get_particles_vel"):
        copied = getattr(scene.body, name)()
        yield Capability(
            entity=_ENTITY,
            kind="read",
            name=f"{name}()",
            outcome="tracks gradients" if copied.requires_grad else "no gradient",
            figure=None,
            detail=f"requires_grad is {copied.requires_grad} after a taped step",
        )


def _contacts(scene: GenesisSoftBody, material: str) -> Iterator[Capability]:
    """Differentiate through each kind of contact."""
    inside = (0.5 * float(-scene.rest_tool_position[0]), 0.0, 0.0)
    attempts = {
        "body falls on a rigid plane with friction": ("initial velocity", (0.0, 0.0, 0.0)),
        "tool pushes the body with friction": ("tool velocity", (0.0, 0.0, 0.0)),
        "tool begins half inside the body": ("tool velocity", inside),
    }
    for name, (source, offset) in attempts.items():
        check = check_input(scene, source, 5, material=material, tool_offset=offset)
        yield Capability(
            entity=_ENTITY,
            kind="contact",
            name=name,
            outcome=check.verdict,
            figure=_finite(check.worst_relative_error),
            detail=check.detail or f"by the {source}, 5 steps, {check.num_kinks} kinks",
        )


def _refusal(config: SoftBodyConfig, build: Callable[..., GenesisSoftBody]) -> Capability:
    """Try the contact with thin objects, which Genesis offers without gradients alone."""
    outcome, detail = "accepted", "the scene was built"
    try:
        build(config, num_envs=1, differentiable=True, mpm_options={"enable_CPIC": True})
    except SimulationError as error:
        outcome, detail = "refused", error.message
    return Capability(_ENTITY, "contact", "thin objects (CPIC)", outcome, None, detail)


def _costs(scene: GenesisSoftBody, mode: str) -> Iterator[Capability]:
    """Time the steps of pushes."""
    forward, backward = [], []
    velocity = torch.tensor([0.8, 0.0, 0.0]).to(scene.zeros(1)).expand(scene.num_envs, 3)
    for _ in range(_COST_REPEATS + 1):
        leaf = velocity.clone().requires_grad_(scene.differentiable)
        scene.reset(scene.resting_start())
        begin = time.perf_counter()
        for _ in range(_COST_STEPS):
            scene.apply(leaf)
            scene.step()
        loss = scene.read().centroid.sum()
        forward.append(time.perf_counter() - begin)
        if scene.differentiable:
            begin = time.perf_counter()
            scene.backward(loss)
            backward.append(time.perf_counter() - begin)
    for name, seconds in (("forward", forward), ("backward", backward)):
        if seconds:
            # The first run compiles.
            yield Capability(
                entity=_ENTITY,
                kind="cost",
                name=f"{mode} {name}",
                outcome="ms a step",
                figure=1e3 * statistics.median(seconds[1:]) / _COST_STEPS,
                detail=f"{scene.num_envs} environments of {scene.num_particles} particles, "
                f"{scene.scene.sim.substeps} substeps",
            )


def _finite(value: float) -> float | None:
    """Return a figure, or None for one that is not a number."""
    return value if value == value else None
