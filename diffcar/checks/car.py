"""`diffcar check-grad --entity rigid`: where the car's gradient goes, and whether it is right."""

import multiprocessing
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path

import torch

from diffcar.base.errors import DiffcarError, ModelError
from diffcar.base.log import logger
from diffcar.checks.attempts import Attempt, list_attempts, run_attempt
from diffcar.checks.car_result import CheckGradResult, Parity, labels_of
from diffcar.checks.config import CheckGradConfig
from diffcar.checks.wheels import audit_wheels
from diffcar.controllers.errors import starts_on_path
from diffcar.controllers.tracking_mlp import TrackingMLP, build_tracking_mlp
from diffcar.gradients.certificate import CertificateRow
from diffcar.gradients.hops import Hop
from diffcar.gradients.slopes import STEP_SIZES, TOLERANCES
from diffcar.losses import TrackingLoss
from diffcar.path.load import load_path
from diffcar.path.reference import ReferencePath
from diffcar.sim.build import build_scene, repair
from diffcar.sim.car import GenesisCar
from diffcar.sim.model.adopt import adopt_model
from diffcar.sim.model.vehicle import Vehicle, load_vehicle
from diffcar.tasks.tracking.problem import Certifier, trace_hops

__all__ = ["JointNames", "run"]

_DTYPES = {64: torch.float64, 32: torch.float32}


@dataclass(frozen=True)
class JointNames:
    """The joints of a foreign model; empty where their names speak for themselves."""

    steering: tuple[str, ...] = ()
    """The two steering joints."""
    wheels: tuple[str, ...] = ()
    """The four wheel joints."""


def run(
    config: CheckGradConfig,
    *,
    joints: JointNames | None = None,
) -> CheckGradResult:
    """Check the gradients of the car, from a broken chain to the last digit.

    Args:
        config: The resolved configuration.
        joints: Names in a foreign model.

    Returns:
        What was found.

    Raises:
        DiffcarError: If model, path or scene is unusable.
    """
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        vehicle, notes = _load(config, joints or JointNames(), Path(folder))
        check = _Check(config, vehicle, notes)
        check.probe()
        check.certify()
        check.attempt("driving the same actions in plain mode", check.compare_modes)
        if config.precision == 32:
            stage = "doing the same in float64, in another process"
            check.attempt(stage, check.certify_in_float64)
        if config.wheels:
            check.attempt("comparing wheels", lambda: check.audit_wheels(Path(folder)))
    check.result.wall_seconds = time.perf_counter() - began
    return check.result


class _Check:
    """One scene and what is found out about it."""

    def __init__(
        self,
        config: CheckGradConfig,
        vehicle: Vehicle,
        notes: list[str],
    ) -> None:
        self.config = config
        self.vehicle = vehicle
        self.horizons = config.certificate.horizons
        self.result = CheckGradResult(
            model=config.model or "assets/car.xml",
            wheel_shape=vehicle.wheel_shape,
            precision=config.precision,
            actuation=config.actuation,
            with_repairs=config.repairs,
            tolerance=config.certificate.tolerance or _tolerance(config, vehicle),
            horizons=list(config.certificate.horizons),
            notes=notes,
        )
        logger.info("building the differentiable scene (a minute or two the first time)")
        self.scene, self.path, self.controller = _open(config, vehicle)
        self.certifier = _certifier(config, self.scene, self.controller, self.path)

    def attempt(self, stage: str, action: Callable[[], None]) -> None:
        """Do a part of the check; if it fails the others still count."""
        logger.info(stage)
        try:
            action()
        except (DiffcarError, BrokenProcessPool) as error:
            self.result.failures.append(f"{stage}: {error}")

    def probe(self) -> None:
        """Try the ways to a gradient, then follow it along the one that training uses."""
        logger.info("trying the ways to get a gradient")
        attempts = list_attempts(self.path)
        for attempt in attempts:
            if not attempt.with_repairs:
                self._try(attempt)
        if self.config.repairs:
            repair(self.scene)
        for attempt in attempts:
            if attempt.with_repairs and (self.config.repairs or not attempt.needs_repairs):
                self._try(attempt)

        def follow() -> None:
            self.result.hops = self._trace()

        self.attempt("following the gradient hop by hop", follow)

    def certify(self) -> None:
        """Compare with finite differences at every horizon."""

        def guard() -> None:
            self.result.failures += self.certifier.guards(min(self.horizons))

        self.attempt("checking that rollouts and gradients repeat themselves", guard)
        for horizon in self.horizons:

            def compare(horizon: int = horizon) -> None:
                self.result.rows += self.certifier.certify(horizon)

            self.attempt(f"comparing with finite differences over {horizon} steps", compare)

    def compare_modes(self) -> None:
        """Let the same actions drive in plain mode, and see how far the cars drift apart."""
        plain = build_scene(
            self.config,
            num_envs=self.scene.num_envs,
            differentiable=False,
            vehicle=self.vehicle,
        )
        ends = [self.certifier.positions(scene) for scene in (self.scene, plain)]
        distance = (ends[0] - ends[1]).norm(dim=-1)[:, self.certifier.cases.of_regime("rolling")]
        self.result.parity = [
            Parity(horizon, float(distance[horizon - 1].max())) for horizon in self.horizons
        ]

    def certify_in_float64(self) -> None:
        """Repeat the certificate in float64, in a process of its own: Genesis has one precision."""
        double = self.config.model_copy(update={"precision": 64})
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(max_workers=1, mp_context=context) as pool:
            self.result.reference = pool.submit(_rows_of, double, self.vehicle).result()

    def audit_wheels(self, folder: Path) -> None:
        """Let the car roll on wheels of six shapes."""
        self.result.wheels = audit_wheels(self.config, self.vehicle, folder)

    def _try(self, attempt: Attempt) -> None:
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
            loss_of=lambda trajectory: TrackingLoss().costs(trajectory).total,
        )


def _tolerance(config: CheckGradConfig, vehicle: Vehicle) -> float:
    """Return the error that certifies: a hundred times more for wheels that rest on a line.

    Genesis finds one end of a line's contact exactly and the other by tilting the wheel, with a
    depth too small by a millionth of a metre; so the physics itself jumps where the ends swap.
    """
    on_line = vehicle.wheel_shape in ("cylinder", "capsule")
    return TOLERANCES[_DTYPES[config.precision]] * (
        100.0 if on_line and config.precision == 64 else 1
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
    return adopted.vehicle, list(adopted.notes)


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
        step_sizes=config.certificate.step_sizes or STEP_SIZES[scene.dtype],
        seed=config.seed,
    )


def _open(
    config: CheckGradConfig, vehicle: Vehicle
) -> tuple[GenesisCar, ReferencePath, TrackingMLP]:
    """Build the scene with a car for every direction, still without repairs."""
    scene = build_scene(
        config,
        num_envs=len(labels_of(config.certificate)),
        differentiable=True,
        vehicle=vehicle,
        with_repairs=False,
    )
    path = load_path(config.path, seed=config.seed).to(scene.dtype, scene.device)
    controller = build_tracking_mlp(
        config.controller,
        vehicle,
        dtype=scene.dtype,
        device=scene.device,
        seed=config.seed,
    )
    return scene, path, controller


def _rows_of(config: CheckGradConfig, vehicle: Vehicle) -> list[CertificateRow]:
    """Return the certificate of a configuration, and nothing else."""
    scene, path, controller = _open(config, vehicle)
    if config.repairs:
        repair(scene)
    certifier = _certifier(config, scene, controller, path)
    return [row for horizon in config.certificate.horizons for row in certifier.certify(horizon)]
