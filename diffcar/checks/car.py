"""`diffcar check-grad --entity rigid`: where the car's gradient goes, and whether it is right."""

import contextlib
import itertools
import os
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch

from diffcar.base.child import Child
from diffcar.base.errors import DiffcarError
from diffcar.base.log import logger
from diffcar.checks.attempts import try_attempts
from diffcar.checks.bench import CarBench
from diffcar.checks.car_result import CheckGradResult, labels_of
from diffcar.checks.config import CheckGradConfig
from diffcar.checks.wheels import audit_wheels
from diffcar.controllers.errors import starts_on_path
from diffcar.gradients.certificate import Certificate, attempt, certify
from diffcar.gradients.hops import trace_hops
from diffcar.gradients.slopes import Verdict
from diffcar.losses import TrackingLoss
from diffcar.sim.backend import on_gpu
from diffcar.sim.build import build_scene, equip
from diffcar.sim.model.doubts import notes_of
from diffcar.sim.model.read import car_of
from diffcar.sim.model.suited import suited
from diffcar.sim.model.vehicle import Vehicle
from diffcar.sim.startup import save_kernels
from diffcar.tasks.contract import Task
from diffcar.tasks.tracking.problem import LIMIT, PARAMETERS, CarCases, trace_drive

__all__ = ["run"]

_LIMIT_STEPS = 100
# Fewer steps take less time than another process takes to start.
_WORTH_A_PROCESS = 300

_Certifying = Child[dict[int, Certificate]]
"""The certificates at some horizons, under way in another process."""


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
    vehicle = car_of(config, lenient=config.car_reading.wheels == "as-is")
    config = suited(config, vehicle)
    begun = _begin_apart(config, vehicle) or contextlib.nullcontext()
    with tempfile.TemporaryDirectory() as folder, begun as apart:
        check = _Check(config, vehicle, apart)
        found = check.result
        logger.info("trying the ways to get a gradient")
        found.attempts += try_attempts(
            check.bench.scene,
            check.bench.path,
            tolerance=found.tolerance,
            with_repairs=config.repairs,
        )
        if config.repairs:
            equip(check.bench.scene)
        check.attempt("following the gradient hop by hop", check.follow)
        check.try_the_limit()
        check.attempt("driving the same actions in plain mode", check.compare_modes)
        if config.wheels:
            wheels = audit_wheels(config, vehicle, Path(folder))
            check.attempt("comparing wheels", lambda: found.wheels.extend(wheels))
        if config.precision == 32:
            stage = "waiting for the same in float64, from another process"
            check.attempt(stage, check.await_float64)
        for horizon in config.certificate.horizons:
            if horizon in check.horizons_apart:
                continue
            stage = f"comparing with finite differences over {horizon} steps"
            check.attempt(stage, partial(check.certify, horizon))
        if check.horizons_apart:
            stage = f"waiting for {check.horizons_apart[0]} steps, from another process"
            check.attempt(stage, check.await_longest)
    found.wall_seconds = time.perf_counter() - began
    return found


class _Check:
    """One scene and what is found out about it."""

    def __init__(
        self, config: CheckGradConfig, vehicle: Vehicle, apart: _Certifying | None = None
    ) -> None:
        self.config = config
        self.vehicle = vehicle
        self.apart = apart
        self.bench = CarBench(config, vehicle, labels_of(config.certificate))
        self.reference: dict[int, Certificate] = {}
        self._certificates: dict[int, Certificate] = {}
        tolerance = self.bench.problem(config.certificate.horizons[0]).tolerance
        notes = [*notes_of(vehicle), *self.bench.path.warnings]
        told = vehicle if config.model else None
        self.result = CheckGradResult(config, vehicle.wheel_shape, tolerance, told, notes=notes)

    @property
    def horizons_apart(self) -> list[int]:
        """Return the horizons that are certified in another process instead of in this one."""
        is_split = self.apart is not None and self.config.precision == 64
        return [max(self.config.certificate.horizons)] if is_split else []

    def attempt(self, stage: str, action: Callable[[], None]) -> None:
        """Do a part of the check; if it fails the others still count."""
        logger.info(stage)
        try:
            action()
        except DiffcarError as error:
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
        problem = self.bench.problem(horizon)
        if horizon != min(self.config.certificate.horizons):
            # Their rollouts and backward passes repeat themselves if short ones do.
            problem = replace(problem, guards=())
        self._add(horizon, certify(problem, reference=self.reference.get(horizon)))

    def await_longest(self) -> None:
        """Wait for the certificate over the most steps."""
        assert self.apart is not None
        for horizon, found in self.apart.result().items():
            if found.verdict is Verdict.REFUSED:  # the other horizons have theirs
                stage = f"comparing with finite differences over {horizon} steps"
                self.result.failures.append(f"{stage}: {found.told}")
            else:
                self._add(horizon, found)

    def _add(self, horizon: int, found: Certificate) -> None:
        """Keep a certificate, in the order in which horizons were asked for."""
        self._certificates[horizon] = found
        asked = self.config.certificate.horizons
        in_order = (self._certificates[own] for own in asked if own in self._certificates)
        self.result.certificate = sum(in_order, Certificate())
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
            problem = self.bench.problem(horizon, sorted(labels, key=lambda own: own[1]))
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

    def await_float64(self) -> None:
        """Wait for the certificate in float64, which the gradient is held against."""
        assert self.apart is not None
        self.reference = self.apart.result()
        for horizon, found in self.reference.items():
            if found.verdict is Verdict.REFUSED:  # the other horizons have theirs
                self.result.failures.append(f"in float64 over {horizon} steps: {found.told}")


def _begin_apart(config: CheckGradConfig, vehicle: Vehicle) -> _Certifying | None:
    """Begin in another process what this one need not do itself, if anything.

    That is the certificate in float64 where this one is in float32, since Genesis has one precision
    in a process; else the one over the most steps, which takes as long as all the rest.
    """
    horizons = config.certificate.horizons
    if config.precision == 32:
        double = config.model_copy(update={"precision": 64})
        return Child(_certificates_of, double, vehicle, horizons)
    is_long = len(horizons) > 1 and max(horizons) >= _WORTH_A_PROCESS
    if is_long and _num_cores() > 1 and not on_gpu(config):
        return Child(_certificates_of, config, vehicle, [max(horizons)])
    return None


def _num_cores() -> int:
    """Return how many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _certificates_of(
    config: CheckGradConfig, vehicle: Vehicle, horizons: Sequence[int]
) -> dict[int, Certificate]:
    """Return the certificate of a configuration at some horizons, and nothing else."""
    bench = CarBench(config, vehicle, labels_of(config.certificate))
    if config.repairs:
        equip(bench.scene)
    problems = [bench.problem(horizon) for horizon in horizons]
    found = {problem.horizon: attempt(replace(problem, guards=())) for problem in problems}
    save_kernels()  # this process ends without
    return found
