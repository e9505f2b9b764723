"""Certifies the gradients of a soft body against central differences, input by input."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from diffcar.base.errors import DiffcarError
from diffcar.gradients.finite_differences import check_environments, random_directions
from diffcar.gradients.slopes import DirectionalCheck, summarise, verdict
from diffcar.sim.build import build_scene, repair
from diffcar.sim.config import SoftBodyConfig
from diffcar.sim.soft_body import GenesisSoftBody
from diffcar.tasks.pushing.inputs import INPUTS, draw_input, roll_out

__all__ = ["MATERIALS", "READINGS", "SoftBodyCheck", "check_input", "check_soft_body"]

READINGS = (
    "particle_positions",
    "particle_velocities",
    "deformation_gradients",
    "affine_velocities",
    "tool_position",
)
MATERIALS = ("elastic", "corotated", "muscle")

# Chosen for the size of each input: where truncation and rounding both are far below 1e-5, and
# small where the tool moves, whose distance field has a kink at every face of its voxels.
_STEP_SIZES = {
    "initial velocity": (1e-2, 1e-3, 1e-4),
    "muscle activation": (1e-4, 1e-5, 1e-6),
    "tool velocity": (1e-5, 1e-6, 1e-7),
    "tool angular velocity": (1e-3, 1e-4, 1e-5),
    "tool position": (1e-5, 1e-6, 1e-7),
    "tool orientation": (1e-5, 1e-6, 1e-7),
}
# The singular value decomposition of corotated stress is exact to about 1e-10 only, so differences
# need large steps and short falls, and agree with each other to 1e-4 at best.
_COROTATED_STEP_SIZES = (3e-1, 1e-1, 3e-2)
_COROTATED_HORIZON = 5
_COROTATED_TOLERANCE = 1e-3


@dataclass(frozen=True)
class SoftBodyCheck:
    """What the check of one input came to."""

    input: str
    """The input, one of `INPUTS`."""
    material: str
    """Material of the body."""
    horizon: int
    """Control steps from the first input to the scored state."""
    is_repaired: bool
    """Whether Genesis's gradients were repaired, or taken as they come."""
    num_directions: int
    """Directions compared, one in each environment."""
    num_kinks: int
    """Those of them along which no derivative exists."""
    median_relative_error: float
    """Of the directions without a kink; not a number where none was compared."""
    worst_relative_error: float
    """Of the directions without a kink; not a number where none was compared."""
    verdict: str
    """Of `directional.verdict`, or `no gradient`, `does not repeat` or `refused`."""
    detail: str = ""
    """The text of the error where the attempt raised one."""


def check_soft_body(
    config: SoftBodyConfig,
    *,
    num_envs: int = 4,
    fall_horizon: int = 10,
    push_horizons: Sequence[int] = (5, 10, 30),
    materials: Sequence[str] = MATERIALS,
    tolerance: float = 1e-5,
    build: Callable[..., GenesisSoftBody] = build_scene,
) -> Iterator[SoftBodyCheck]:
    """Check every input of a soft body; where a repair matters, first as Genesis comes.

    The tool is checked on the first material, muscles on the one that has them, the initial
    velocity on all.

    Args:
        config: The scene; its precision must be 64, its material is replaced.
        num_envs: Number of parallel environments: the directions checked.
        fall_horizon: Control steps of falls and contractions.
        push_horizons: Control steps of pushes by the tool's velocity; its other inputs are checked
            at the first of them.
        materials: Of `elastic`, `corotated` and `muscle`.
        tolerance: Largest relative error that is right; 1e-3 at the least for `corotated`, whose
            forward pass is too noisy for closer differences.
        build: Builds the scene.

    Yields:
        A record for each input, horizon and state of repair, as it is measured.

    Raises:
        ConfigError: If Genesis runs in this process with other settings.
        SimulationError: If Genesis refuses the scene.
    """
    for material in materials:
        chosen = config.model_copy(update={"material": material})
        scene = build(chosen, num_envs=num_envs, differentiable=True, with_repairs=False)
        # Only what a repair changes is checked without it, too.
        tool = [("tool velocity", horizon) for horizon in push_horizons]
        tool += [(name, push_horizons[0]) for name in INPUTS[3:]]
        is_corotated = material == "corotated"
        limit = max(tolerance, _COROTATED_TOLERANCE) if is_corotated else tolerance
        steps = min(fall_horizon, _COROTATED_HORIZON) if is_corotated else fall_horizon
        falls = [("initial velocity", steps)]
        affected = (tool if material == materials[0] else []) + (falls if is_corotated else [])
        for name, horizon in affected:
            yield check_input(scene, name, horizon, material=material, tolerance=limit)
        repair(scene)
        muscles = [("muscle activation", steps)] if material == "muscle" else []
        for name, horizon in falls + muscles + (tool if material == materials[0] else []):
            check = check_input(scene, name, horizon, material=material, tolerance=limit)
            yield replace(check, is_repaired=True)


def check_input(
    scene: GenesisSoftBody,
    name: str,
    horizon: int,
    *,
    material: str = "elastic",
    reading: str = "particle_positions",
    tool_offset: Sequence[float] = (0.0, 0.0, 0.0),
    tolerance: float = 1e-5,
    seed: int = 0,
) -> SoftBodyCheck:
    """Check the gradient of a random projection of the final state by one input.

    Args:
        scene: A differentiable scene in float64; left rewound.
        name: The input, one of `INPUTS`.
        horizon: Control steps; inputs other than the initial velocity are given at each.
        material: Of the body, for the record and for the step sizes.
        reading: Field of the state that is scored, one of `READINGS`.
        tool_offset: Moves the tool's start [m].
        tolerance: Largest relative error that is right.
        seed: Of inputs, directions and projection.

    Returns:
        The record; `is_repaired` is left False.
    """
    generator = torch.Generator().manual_seed(seed)
    leaf = draw_input(scene, name, horizon, generator).requires_grad_()
    offset = torch.tensor(tool_offset, dtype=scene.dtype, device=scene.device)
    direction = random_directions(leaf, generator)
    weights: list[Tensor] = []

    def score() -> Tensor:
        roll_out(scene, name, leaf, horizon, offset)
        values = getattr(scene.read(), reading).flatten(1)
        if not weights:
            draw = torch.randn(values.shape, generator=generator, dtype=torch.float64)
            weights.append((draw / math.sqrt(values.shape[1])).to(values))
        return (values * weights[0]).sum(1)

    record = SoftBodyCheck(
        name, material, horizon, False, scene.num_envs, 0, math.nan, math.nan, verdict="refused"
    )
    is_noisy = material == "corotated" and name == "initial velocity"
    try:
        gradient, value = _analytic_gradient(scene, score, leaf)
        if gradient is None:
            return replace(record, verdict="no gradient")
        if not _repeats(score, value):
            return replace(record, verdict="does not repeat")
        checks = check_environments(
            score,
            [leaf],
            [direction],
            step_sizes=_COROTATED_STEP_SIZES if is_noisy else _STEP_SIZES[name],
            gradients=[gradient],
        )
    except (DiffcarError, RuntimeError) as error:
        return replace(record, detail=str(error).partition("\n")[0])
    return _judge(record, checks, tolerance)


def _repeats(score: Callable[[], Tensor], value: Tensor) -> bool:
    """Tell whether a rollout without gradients ends as the one with them did."""
    with torch.no_grad():
        # Threads add up grid masses in any order, so a last digit may differ.
        return torch.allclose(score(), value, rtol=1e-8, atol=0.0, equal_nan=True)


def _judge(
    record: SoftBodyCheck, checks: Sequence[DirectionalCheck], tolerance: float
) -> SoftBodyCheck:
    """Fill in the figures and the verdict."""
    summary = summarise(checks)
    return replace(
        record,
        num_kinks=summary.num_kinks,
        median_relative_error=summary.median_relative_error,
        worst_relative_error=summary.worst_relative_error,
        verdict=verdict(checks, tolerance),
    )


def _analytic_gradient(
    scene: GenesisSoftBody, score: Callable[[], Tensor], leaf: Tensor
) -> tuple[Tensor | None, Tensor]:
    """Return the gradient of the environments' scores by the input, and the scores."""
    leaf.grad = None
    values = score()
    if not values.requires_grad:
        return None, values.detach()
    scene.backward(values.sum())
    return leaf.grad, values.detach()
