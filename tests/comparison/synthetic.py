"""A comparison as a long run would find it, made up in milliseconds."""

import functools
import itertools
import math
import random
from collections.abc import Iterator
from dataclasses import astuple
from typing import Any

import numpy as np
import pandas as pd

from diffcar.comparison.config import CompareConfig
from diffcar.comparison.results import (
    CURVE_COLUMNS,
    SCORE_COLUMNS,
    TRACK_COLUMNS,
    Comparison,
    Run,
)
from diffcar.tasks.tracking.metrics import SuiteFigures

__all__ = ["make_comparison"]

# RMSE in the end [m], first and last wall time [s], first and last control steps.
PROFILES = {
    "e2e": (1.1e-3, 5.0, 250.0, 8e3, 4e5),
    "ppo": (6.2e-3, 5.0, 600.0, 4e4, 3e6),
    "bc-pure-pursuit": (24e-3, 1.0, 40.0, 6e4, 6e4),
    "bc-e2e": (3.4e-3, 1.0, 42.0, 6e4, 6e4),
    "dagger-e2e": (1.6e-3, 4.0, 160.0, 6e4, 3.2e5),
    "stanley": (14e-3, 1.5, 7.5, 2e5, 1e6),
    "pure-pursuit": (21e-3, 1.4, 7.0, 2e5, 1e6),
}
CONDITIONS = {
    "nominal": 1.0,
    "push": 4.1,
    "mass +30 %": 1.2,
    "mass -30 %": 1.1,
    "friction +30 %": 1.05,
    "friction -30 %": 1.9,
    "delay": 2.6,
    "noise": 5.2,
}
PATHS = (
    "figure-eight",
    "slalom",
    "sine",
    "double-lane-change",
    "obstacle-avoidance",
    "random-1001",
)
LOST_ON = ("bc-pure-pursuit", "random-1001")


@functools.cache
def make_comparison(
    *,
    methods: tuple[str, ...] = tuple(CompareConfig().methods),
    seeds: tuple[int, ...] = (0, 1, 2),
    conditions: tuple[str, ...] = tuple(CONDITIONS),
    engines: tuple[str, ...] = ("genesis", "mujoco"),
    paths: tuple[str, ...] = PATHS,
    grips: tuple[float, ...] = (math.nan,),
) -> Comparison:
    """Return a comparison of some methods over some paths, ranked at the second of some grips.

    At the third e2e loses every other drive.
    """
    chance = random.Random(7)
    runs, points, scores = [], [], []
    for method in methods:
        for seed in seeds:
            points += _training(method, seed, chance)
            last_s, last_steps = PROFILES[method][2], round(PROFILES[method][4])
            runs.append(Run(method, seed, f"runs/{method}-{seed}", last_s, last_steps))
            scores += _scores(method, seed, chance, (engines, conditions, paths, grips))
    references, tracks = {}, []
    for number, path in enumerate(paths):
        distance, x, y = reference(number)
        references[path] = (x.tolist(), y.tolist())
        for method, engine in itertools.product(methods, engines):
            driven = _drive(method, engine, path, distance, x, y, chance)
            tracks += [(method, engine, path, *point) for point in driven]
    return Comparison(
        0.02,
        runs,
        pd.DataFrame(scores, columns=SCORE_COLUMNS),
        pd.DataFrame(points, columns=CURVE_COLUMNS),
        pd.DataFrame(tracks, columns=TRACK_COLUMNS),
        references,
        grips[1] if len(grips) > 1 else None,
    )


def _training(method: str, seed: int, chance: random.Random) -> Iterator[tuple[object, ...]]:
    end, first_s, last_s, first_steps, last_steps = PROFILES[method]
    is_tuned = method in ("stanley", "pure-pursuit")
    num_points = 5 if is_tuned else 40
    speed = chance.uniform(0.8, 1.25)
    final = end * chance.uniform(0.85, 1.2)
    start = 0.06 if is_tuned else 0.9
    for index in range(num_points):
        share = index / (num_points - 1)
        progress = min(1.0, share * speed)
        rmse = final * (start / final) ** ((1 - progress) ** 2.2)
        rmse *= 1.0 if is_tuned else math.exp(chance.gauss(0, 0.12))
        seconds = first_s * (last_s / first_s) ** share * chance.uniform(0.98, 1.02)
        steps = round(first_steps * (last_steps / first_steps) ** share)
        lost = 0.5 if rmse > 0.3 else 0.0
        yield method, seed, index, seconds, steps, rmse, lost


def _scores(
    method: str, seed: int, chance: random.Random, what: tuple[tuple[Any, ...], ...]
) -> Iterator[tuple[object, ...]]:
    skill = chance.uniform(0.9, 1.15)
    grips = what[-1]
    for engine, condition, path, grip in itertools.product(*what):
        floor = 2e-3 * (CONDITIONS[condition] - 1)
        rmse = math.hypot(PROFILES[method][0] * skill, floor) * chance.uniform(0.8, 1.2)
        rmse *= 1.03 if engine == "mujoco" else 1.0
        is_lost = (method, path) == LOST_ON and condition in ("nominal", "push", "noise")
        is_lost |= method == "e2e" and grip in grips[2:]
        name = path if math.isnan(grip) else f"{path} at {100 * grip:g} %"
        figures = SuiteFigures(
            cross_track_rmse_m=0.41 if is_lost else rmse,
            cross_track_max_m=1.0 if is_lost else 2.7 * rmse,
            speed_rmse_mps=chance.uniform(0.02, 0.06),
            lost=0.5 if is_lost else 0.0,
            cross_track_p95_m=1.0 if is_lost else 1.9 * rmse,
            time_over_profile=math.nan if is_lost else 0.01,
        )
        yield method, seed, engine, condition, name, grip, *astuple(figures)


def reference(number: int, num_points: int = 300) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return distance, x and y of one of six shapes."""
    u = np.linspace(0, 1, num_points)
    angle = 2 * np.pi * u
    shapes = (
        (8 * np.sin(angle), 4 * np.sin(2 * angle)),
        (40 * u, 1.2 * np.sin(6 * np.pi * u)),
        (50 * u, 2.5 * np.sin(4 * np.pi * u)),
        (45 * u, 1.75 * (np.tanh(12 * (u - 0.3)) - np.tanh(12 * (u - 0.65)))),
        (30 * u, 1.5 * np.exp(-(((u - 0.5) / 0.12) ** 2))),
        (10 * np.cos(angle) + 2 * np.cos(3 * angle), 7 * np.sin(angle) - 1.5 * np.sin(2 * angle)),
    )
    x, y = shapes[number % len(shapes)]
    distance = np.concatenate([[0.0], np.cumsum(np.hypot(np.diff(x), np.diff(y)))])
    return distance, x, y


def _drive(
    method: str,
    engine: str,
    path: str,
    distance: np.ndarray,
    x: np.ndarray,
    y: np.ndarray,
    chance: random.Random,
) -> list[list[float]]:
    dx, dy = np.gradient(x), np.gradient(y)
    curvature = (dx * np.gradient(dy) - dy * np.gradient(dx)) / np.hypot(dx, dy) ** 3
    phase = chance.uniform(0, 6)
    end = PROFILES[method][0] * (1.03 if engine == "mujoco" else 1.0)
    error = end * (2.2 * np.tanh(3 * curvature) + 0.4 * np.sin(1.7 * distance + phase))
    last = len(distance)
    if (method, path) == LOST_ON:
        error = error + np.where(distance > 34, 0.02 * np.exp(1.1 * (distance - 34)), 0.0)
        last = int(np.argmax(np.abs(error) > 1.0)) + 1
    length = np.hypot(dx, dy)
    columns = (distance, x - error * dy / length, y + error * dx / length, error)
    return np.stack(columns, axis=1)[:last].tolist()
