"""`diffcar check-grad --entity rigid`: where the car's gradient goes, and whether it is right."""

import multiprocessing
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch

from diffcar.commands.train_e2e import Stage
from diffcar.config import CheckGradConfig, LossConfig
from diffcar.controllers import TrackingMLP, build_tracking_mlp
from diffcar.errors import ModelError, SimulationError
from diffcar.gradcheck import Hop, trace_hops
from diffcar.gradcheck.attempts import AttemptResult, run_attempt
from diffcar.gradcheck.certificate import (
    RIGHT_TO_PLATEAU,
    CertificateRow,
    Certifier,
    summarise,
    verdict,
)
from diffcar.gradcheck.finite_differences import DirectionalCheck
from diffcar.gradcheck.regimes import labels_of
from diffcar.gradcheck.wheel_audit import WheelResult, audit_wheels
from diffcar.losses import tracking_loss_terms
from diffcar.path import ReferencePath, load_path
from diffcar.sim.adopt import adopt_model
from diffcar.sim.attempts import Attempt, list_attempts
from diffcar.sim.car import GenesisCar
from diffcar.sim.scene import apply_repairs, build_scene
from diffcar.sim.vehicle import Vehicle, load_vehicle
from diffcar.tracking import starts_on_path

__all__ = ["CheckGradResult", "JointNames", "Parity", "as_json", "run"]

_TOLERANCES = {64: 1e-6, 32: 1e-2}
_STEP_SIZES = {64: (2e-4, 3e-5, 4e-6), 32: (1e-1, 3e-2, 1e-2)}

OnStage = Callable[[Stage], None]


@dataclass(frozen=True)
class JointNames:
    """The joints of a foreign model; empty where their names speak for themselves."""

    steering: tuple[str, ...] = ()
    """The two steering joints."""
    wheels: tuple[str, ...] = ()
    """The four wheel joints."""


@dataclass(frozen=True)
class Parity:
    """How far the same actions lead apart in differentiable and in plain mode."""

    horizon: int
    """Control steps."""
    position_m: float
    """Largest distance between two rolling cars [m]."""


@dataclass
class CheckGradResult:
    """What the check found."""

    model: str
    """File of the car."""
    wheel_shape: str
    """What its wheels collide as."""
    precision: int
    """Bits of a floating-point number."""
    actuation: str
    """How commands reach the joints."""
    with_repairs: bool
    """Whether diffcar's repairs were in place."""
    tolerance: float
    """Largest relative error of a rolling car that certifies."""
    horizons: list[int]
    """Those that were asked for."""
    hops: list[Hop] = field(default_factory=list)
    """Where the gradient went."""
    attempts: list[AttemptResult] = field(default_factory=list)
    """Ways to get a gradient."""
    rows: list[CertificateRow] = field(default_factory=list)
    """The certificate."""
    reference: dict[int, list[float]] = field(default_factory=dict)
    """Directional derivatives in float64 by horizon, in the order of the rows' directions, where
    the check ran in float32."""
    parity: list[Parity] = field(default_factory=list)
    """Differentiable against plain mode."""
    wheels: list[WheelResult] = field(default_factory=list)
    """The shapes of wheels."""
    failures: list[str] = field(default_factory=list)
    """What kept a horizon from being checked."""
    notes: list[str] = field(default_factory=list)
    """What the user should know about the model."""
    wall_seconds: float = 0.0
    """Wall time, imports left out [s]."""

    def rolling(self, horizon: int) -> list[DirectionalCheck]:
        """Return the rolling directions of a horizon, in float32 against float64's derivatives."""
        rows = [r for r in self.rows if r.horizon == horizon and r.regime == "rolling"]
        if self.reference:
            rows = [row.against(self.reference_of(row)) for row in rows]
        return [check for row in rows for check in row.checks]

    def reference_of(self, row: CertificateRow) -> list[float]:
        """Return the derivatives in float64 of a row's directions."""
        before = 0
        for other in self.rows:
            if other is row:
                break
            before += len(other.checks) if other.horizon == row.horizon else 0
        return self.reference[row.horizon][before : before + len(row.checks)]

    @property
    def worst_relative_error(self) -> float | None:
        """Return the largest error of a rolling car over all horizons; None without any."""
        checked = {row.horizon for row in self.rows}
        worst = [summarise(self.rolling(horizon)).worst_relative_error for horizon in checked]
        return max(worst, default=None)

    @property
    def certified(self) -> bool:
        """Return whether the gradient that training uses is right at every horizon."""
        if self.failures or {row.horizon for row in self.rows} != set(self.horizons):
            return False
        verdicts = {verdict(self.rolling(horizon), self.tolerance) for horizon in self.horizons}
        return verdicts <= {"right", RIGHT_TO_PLATEAU}

    @property
    def hint(self) -> str | None:
        """Return what to do about a gradient that is not right."""
        if self.certified:
            return None
        if self.wheel_shape != "sphere":
            remedies = [
                "give each wheel a colliding sphere of its radius and let the "
                f"{self.wheel_shape} only show (contype 0, conaffinity 0)"
            ]
            if not self.with_repairs and self.wheel_shape not in ("box", "mesh"):
                remedies.insert(0, "leave diffcar's repairs on (drop --no-repairs)")
            return "; or ".join(remedies)
        if not self.with_repairs:
            return "leave diffcar's repairs on (drop --no-repairs), or use --actuation torque"
        return "use genesis-world 1.4.5, or --precision 64; do not train on this gradient"


def run(
    config: CheckGradConfig,
    *,
    joints: JointNames | None = None,
    verbose: bool = False,
    on_stage: OnStage = lambda stage: None,
) -> CheckGradResult:
    """Check the gradients of the car, from a broken chain to the last digit.

    Args:
        config: The resolved configuration.
        joints: Names in a foreign model.
        verbose: Whether Genesis may log to the terminal.
        on_stage: Called when something long begins.

    Returns:
        What was found.

    Raises:
        DiffcarError: If model, path or scene is unusable.
    """
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        vehicle, notes = _load(config, joints or JointNames(), Path(folder))
        check = _Check(config, vehicle, notes, verbose, on_stage)
        check.probe()
        check.certify()
        check.compare_modes()
        if config.precision == 32:
            on_stage(Stage("computing the same derivatives in float64, in another process"))
            check.result.reference = _in_other_process(config, vehicle)
        if config.wheels:
            check.result.wheels = audit_wheels(
                config, vehicle, Path(folder), lambda text: on_stage(Stage(text))
            )
    check.result.wall_seconds = time.perf_counter() - began
    return check.result


class _Check:
    """One scene and what is found out about it."""

    def __init__(
        self,
        config: CheckGradConfig,
        vehicle: Vehicle,
        notes: list[str],
        verbose: bool,
        on_stage: OnStage,
    ) -> None:
        self.config = config
        self.vehicle = vehicle
        self.verbose = verbose
        self.on_stage = on_stage
        self.horizons = config.certificate.horizons
        self.result = CheckGradResult(
            model=config.model or "assets/car.xml",
            wheel_shape=vehicle.wheel_shape,
            precision=config.precision,
            actuation=config.actuation,
            with_repairs=config.repairs,
            tolerance=config.certificate.tolerance or _TOLERANCES[config.precision],
            horizons=list(config.certificate.horizons),
            notes=notes,
        )
        on_stage(Stage("building the differentiable scene (a minute or two the first time)"))
        self.scene, self.path, self.controller = _open(config, vehicle, verbose=verbose)
        self.certifier = _certifier(config, self.scene, self.controller, self.path)

    def probe(self) -> None:
        """Try the ways to a gradient, then follow it along the one that training uses."""
        self.on_stage(Stage("trying the ways to get a gradient"))
        attempts = list_attempts(self.path)
        for attempt in attempts:
            if attempt.with_repairs:
                continue
            self._attempt(attempt)
        if self.config.repairs:
            apply_repairs(self.scene)
        for attempt in attempts:
            if attempt.with_repairs and (self.config.repairs or not attempt.needs_repairs):
                self._attempt(attempt)
        try:
            self.result.hops = self._trace()
        except SimulationError as error:
            self.result.failures.append(f"following the gradient: {error}")

    def certify(self) -> None:
        """Compare with finite differences at every horizon."""
        for horizon in self.horizons:
            self.on_stage(Stage(f"comparing with finite differences over {horizon} steps"))
            try:
                self.result.rows += self.certifier.certify(horizon)
            except SimulationError as error:
                self.result.failures.append(f"{horizon} steps: {error}")

    def compare_modes(self) -> None:
        """Let the same actions drive in plain mode, and see how far the cars drift apart."""
        self.on_stage(Stage("driving the same actions in plain mode"))
        plain = build_scene(
            self.config,
            num_envs=self.scene.num_envs,
            differentiable=False,
            vehicle=self.vehicle,
            verbose=self.verbose,
        )
        ends = [self.certifier.positions(scene) for scene in (self.scene, plain)]
        distance = (ends[0] - ends[1]).norm(dim=-1)[:, self.certifier.cases.of_regime("rolling")]
        self.result.parity = [
            Parity(horizon, float(distance[horizon - 1].max())) for horizon in self.horizons
        ]

    def _attempt(self, attempt: Attempt) -> None:
        """Run one attempt and keep its result."""
        tolerance = self.result.tolerance
        self.result.attempts.append(run_attempt(self.scene, attempt, tolerance=tolerance))

    def _trace(self) -> list[Hop]:
        """Follow the gradient through eight steps of the closed loop."""
        arc_length = torch.full(
            (self.scene.num_envs,), 1.0, dtype=self.scene.dtype, device=self.scene.device
        )
        return trace_hops(
            self.scene,
            self.controller,
            self.path,
            starts_on_path(self.path, arc_length, cross_track=0.05),
            arc_length=arc_length,
            loss_of=lambda trajectory: torch.stack(
                list(tracking_loss_terms(trajectory, LossConfig(), self.vehicle).values())
            ).sum(),
        )


def _load(config: CheckGradConfig, joints: JointNames, folder: Path) -> tuple[Vehicle, list[str]]:
    """Read the car, rewriting a model that does not follow diffcar's conventions."""
    if config.model is None:
        return load_vehicle(), []
    if not (joints.steering or joints.wheels):
        try:
            return load_vehicle(config.model, lenient=True), []
        except ModelError:
            pass  # Not as diffcar writes a car; it may still be one, and adopting it says why not.
    adopted = adopt_model(
        Path(config.model), folder, steering_joints=joints.steering, wheel_joints=joints.wheels
    )
    return load_vehicle(adopted.file, lenient=True), list(adopted.notes)


def _certifier(
    config: CheckGradConfig, scene: GenesisCar, controller: TrackingMLP, path: ReferencePath
) -> Certifier:
    """Set up the comparison, with step sizes that suit the precision."""
    return Certifier(
        scene,
        controller,
        path,
        labels_of(config.certificate),
        max_horizon=max(config.certificate.horizons),
        step_sizes=config.certificate.step_sizes or _STEP_SIZES[config.precision],
        seed=config.seed,
    )


def _open(
    config: CheckGradConfig, vehicle: Vehicle, *, verbose: bool = False
) -> tuple[GenesisCar, ReferencePath, TrackingMLP]:
    """Build the scene with a car for every direction, still without repairs."""
    scene = build_scene(
        config,
        num_envs=len(labels_of(config.certificate)),
        differentiable=True,
        vehicle=vehicle,
        with_repairs=False,
        verbose=verbose,
    )
    path = load_path(config.path, seed=config.seed).to(scene.dtype, scene.device)
    controller = build_tracking_mlp(
        config.controller,
        path,
        vehicle,
        dtype=scene.dtype,
        device=scene.device,
        seed=config.seed,
    )
    return scene, path, controller


def _in_other_process(config: CheckGradConfig, vehicle: Vehicle) -> dict[int, list[float]]:
    """Return the directional derivatives in float64; Genesis has one precision a process."""
    double = config.model_copy(update={"precision": 64})
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(max_workers=1, mp_context=context) as pool:
        return pool.submit(_slopes_by_horizon, double, vehicle).result()


def _slopes_by_horizon(config: CheckGradConfig, vehicle: Vehicle) -> dict[int, list[float]]:
    """Compute the analytic derivatives of every case at every horizon."""
    scene, path, controller = _open(config, vehicle)
    if config.repairs:
        apply_repairs(scene)
    certifier = _certifier(config, scene, controller, path)
    return {horizon: certifier.slopes(horizon) for horizon in config.certificate.horizons}


def as_json(result: CheckGradResult) -> dict[str, object]:
    """Return every figure of the check, as JSON holds it."""
    return {
        "entity": "rigid",
        "certified": result.certified,
        "worst_relative_error": result.worst_relative_error,
        "tolerance": result.tolerance,
        **{
            name: getattr(result, name)
            for name in ("model", "wheel_shape", "precision", "actuation", "with_repairs")
        },
        "horizons": [
            {
                "horizon": horizon,
                **asdict(summarise(result.rolling(horizon))),
                "verdict": verdict(result.rolling(horizon), result.tolerance),
            }
            for horizon in result.horizons
            if any(row.horizon == horizon for row in result.rows)
        ],
        "certificate": [
            {
                "regime": row.regime,
                "parameter": row.parameter,
                "horizon": row.horizon,
                "regime_fraction": row.regime_fraction,
                **asdict(summarise(row.checks)),
                "verdict": verdict(row.checks, result.tolerance),
                "directions": [asdict(check) for check in row.checks],
            }
            for row in result.rows
        ],
        "float64_derivatives": result.reference or None,
        "parity": [asdict(parity) for parity in result.parity],
        "hops": [asdict(hop) for hop in result.hops],
        "attempts": [asdict(attempt) for attempt in result.attempts],
        "wheels": [asdict(wheel) for wheel in result.wheels],
        "failures": result.failures,
        "notes": result.notes,
        "hint": result.hint,
        "wall_seconds": result.wall_seconds,
    }
