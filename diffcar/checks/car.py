"""`diffcar check-grad --entity rigid`: where the car's gradient goes, and whether it is right."""

import itertools
import multiprocessing
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch

from diffcar.base.errors import DiffcarError
from diffcar.base.log import logger
from diffcar.checks.attempts import try_attempts
from diffcar.checks.bench import CarBench, Label
from diffcar.checks.car_result import CheckGradResult, labels_of
from diffcar.checks.config import CheckGradConfig
from diffcar.checks.wheels import audit_wheels
from diffcar.controllers.errors import starts_on_path
from diffcar.gradients.certificate import Certificate, attempt, certify
from diffcar.gradients.hops import trace_hops
from diffcar.gradients.problem import Problem
from diffcar.gradients.slopes import Verdict
from diffcar.losses import TrackingLoss
from diffcar.sim.build import build_scene, repair
from diffcar.sim.model.read import car_of
from diffcar.sim.model.suited import suited
from diffcar.sim.model.vehicle import Vehicle
from diffcar.tasks.contract import Task
from diffcar.tasks.tracking.problem import LIMIT, PARAMETERS, CarCases, trace_drive

__all__ = ["run"]

_LIMIT_STEPS = 100


def run(config: CheckGradConfig) -> CheckGradResult:
    """Check the gradients of the car, from a broken chain to the last digit.

    Args:
        config: The resolved configuration.

    Returns:
        What was found.

    Raises:
        DiffcarError: If model, path or scene is unusable.
    """
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        vehicle = car_of(config, lenient=config.car_reading.wheels == "as-is")
        check = _Check(suited(config, vehicle), vehicle)
        found = check.result
        logger.info("trying the ways to get a gradient")
        found.attempts += try_attempts(
            check.bench.scene,
            check.bench.path,
            tolerance=found.tolerance,
            with_repairs=config.repairs,
        )
        check.attempt("following the gradient hop by hop", check.follow)
        if config.precision == 32:
            stage = "doing the same in float64, in another process"
            check.attempt(stage, check.certify_in_float64)
        for horizon in config.certificate.horizons:
            stage = f"comparing with finite differences over {horizon} steps"
            check.attempt(stage, partial(check.certify, horizon))
        check.try_the_limit()
        check.attempt("driving the same actions in plain mode", check.compare_modes)
        if config.wheels:
            check.attempt("comparing wheels", lambda: check.audit_wheels(Path(folder)))
    found.wall_seconds = time.perf_counter() - began
    return found


class _Check:
    """One scene and what is found out about it."""

    def __init__(self, config: CheckGradConfig, vehicle: Vehicle) -> None:
        self.config = config
        self.vehicle = vehicle
        self.bench = CarBench.build(config, vehicle, labels_of(config.certificate))
        self.reference: dict[int, Certificate] = {}
        tolerance = _problem(self.bench, config.certificate.horizons[0]).tolerance
        notes = [*vehicle.assumptions, *self.bench.path.warnings]
        self.result = CheckGradResult(config, vehicle.wheel_shape, tolerance, notes=notes)
        self.result.vehicle = vehicle if config.model else None

    def attempt(self, stage: str, action: Callable[[], None]) -> None:
        """Do a part of the check; if it fails the others still count."""
        logger.info(stage)
        try:
            action()
        except (DiffcarError, BrokenProcessPool) as error:
            self.result.failures.append(f"{stage}: {error}")

    def follow(self) -> None:
        """Follow the gradient through eight steps of the closed loop."""
        scene, controller, path = self.bench.scene, self.bench.controller, self.bench.path
        size = self.vehicle.size
        start = starts_on_path(path, size + scene.zeros(scene.num_envs), cross_track=0.05 * size)
        loss = suited(TrackingLoss(), self.vehicle)
        self.result.hops = trace_hops(
            controller.network,
            lambda watch: trace_drive(watch, scene, controller, path, start, loss=loss),
            scene.backward,
            output=Task.output,
        )

    def certify(self, horizon: int) -> None:
        """Compare with finite differences over one horizon."""
        problem = _problem(self.bench, horizon)
        if horizon != min(self.config.certificate.horizons):
            # Their rollouts and backward passes repeat themselves if short ones do.
            problem = replace(problem, guards=())
        found = certify(problem, reference=self.reference.get(horizon))
        self.result.certificate += found
        self.result.failures += map(str, found.failures)

    def try_the_limit(self) -> None:
        """Compare, over 100 steps at most, cars that turn as sharply as their tyres allow.

        It decides nothing: who asks for all of the grip drives over kinks, and is told how many.
        """
        logger.info("comparing at 90 % of the grip")
        horizon = min(max(self.config.certificate.horizons), _LIMIT_STEPS)
        # Of the weights nothing is known there: an untrained network does not drive so.
        kinds = itertools.cycle(PARAMETERS[:2])
        labels = [(LIMIT, kind) for _, kind in zip(self.bench.labels, kinds, strict=False)]
        try:
            problem = _problem(self.bench, horizon, sorted(labels, key=lambda own: own[1]))
            self.result.at_the_limit += certify(replace(problem, guards=())).rows
        except DiffcarError as error:
            self.result.notes.append(f"nothing is known of 90 % of the grip: {error}")

    def compare_modes(self) -> None:
        """Let the same actions drive in plain mode, and see how far the cars drift apart."""
        bench, scene, horizons = self.bench, self.bench.scene, self.config.certificate.horizons
        plain = build_scene(
            self.config, num_envs=scene.num_envs, differentiable=False, vehicle=self.vehicle
        )
        how = {"horizon": max(horizons), "seed": self.config.seed}
        cases = CarCases(scene, bench.controller, bench.path, bench.labels, **how)
        with torch.no_grad():
            ends = [cases.drive(cars).position for cars in (scene, plain)]
        distance = (ends[0] - ends[1]).norm(dim=-1)[:, cases.are_about("rolling")]
        self.result.parity = {own: float(distance[own - 1].max()) for own in horizons}

    def certify_in_float64(self) -> None:
        """Make the certificate in float64, in a process of its own: Genesis has one precision."""
        double = self.config.model_copy(update={"precision": 64})
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(max_workers=1, mp_context=context) as pool:
            self.reference = pool.submit(_certificates_of, double, self.vehicle).result()
        for horizon, found in self.reference.items():
            if found.verdict is Verdict.REFUSED:  # the other horizons have theirs
                self.result.failures.append(f"in float64 over {horizon} steps: {found.told}")

    def audit_wheels(self, folder: Path) -> None:
        """Let the car roll on wheels of six shapes."""
        self.result.wheels += audit_wheels(self.config, self.vehicle, folder)


def _problem(bench: CarBench, horizon: int, labels: Sequence[Label] | None = None) -> Problem:
    """Return what is certified over a horizon, of the bench's labels or as many others."""
    settings = bench.config.certificate
    return bench.problem(
        horizon, labels=labels, tolerance=settings.tolerance, step_sizes=settings.step_sizes
    )


def _certificates_of(config: CheckGradConfig, vehicle: Vehicle) -> dict[int, Certificate]:
    """Return the certificate of a configuration at each horizon, and nothing else."""
    bench = CarBench.build(config, vehicle, labels_of(config.certificate))
    if config.repairs:
        repair(bench.scene)
    problems = [_problem(bench, horizon) for horizon in config.certificate.horizons]
    return {problem.horizon: attempt(replace(problem, guards=())) for problem in problems}
