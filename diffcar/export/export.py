"""`diffcar export`: write a trained controller for a car, and drive a lap by what was written."""

import contextlib
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from diffcar.base.files import json_text, make_folder, write_text
from diffcar.base.log import logger
from diffcar.base.table import Column, Mark, Shown, Table
from diffcar.controllers.contract import Controller
from diffcar.controllers.errors import ErrorState, compute_error_state
from diffcar.controllers.tracking_mlp import TrackingMLP
from diffcar.export.config import CONTRACT, FORMATS, ExportConfig, require_formats
from diffcar.export.contract import contract_of
from diffcar.export.driver import Driver, measured, state_of
from diffcar.export.formats import Call, load, write
from diffcar.export.subject import Subject, load_subject
from diffcar.path.reference import ReferencePath
from diffcar.sim.contract import CarState
from diffcar.tasks.tracking.drive import Drive
from diffcar.tasks.tracking.rollout import Trajectory

__all__ = ["ExportResult", "Verified", "export_report", "run"]

# Share of full scale by which rounding may change a command.
_TOLERANCES = {32: 1e-5, 64: 1e-6}
_KINDS: dict[int, type[np.floating]] = {32: np.float32, 64: np.float64}


@dataclass(frozen=True)
class Verified:
    """How what was written drives; not a number is what could not be run here."""

    format: str
    """Its name."""
    files: tuple[str, ...]
    """What was written."""
    size_bytes: int
    """Of the files together."""
    agrees: bool | None = None
    """Whether commands differ by rounding alone; None of what could not be run here."""
    difference_share: float = math.nan
    """Largest difference of a command from the network's over the lap, as share of full scale."""
    steering_difference_rad: float = math.nan
    """Largest difference of a steering angle [rad]."""
    speed_difference_mps: float = math.nan
    """Largest difference of a speed [m/s]."""
    call_seconds: float = math.nan
    """Median time of a call from Python [s]."""
    cross_track_rmse_m: float = math.nan
    """Of the lap that it drives itself."""


@dataclass(frozen=True)
class ExportResult:
    """What was exported, and how it drives."""

    folder: Path
    """Where the files are."""
    controller: str
    """What was exported."""
    precision: int
    """Bits of its numbers."""
    path: ReferencePath
    """What it follows."""
    formats: list[Verified]
    """What was written."""
    network_rmse_m: float
    """Cross-track error of the network's own lap."""
    notes: list[str]
    """What the user should know."""

    @property
    def agrees(self) -> bool:
        """Whether nothing that was run differs from the network."""
        return all(each.agrees is not False for each in self.formats)

    def as_json(self) -> dict[str, object]:
        """Return the result as plain values."""
        own = {**vars(self), "formats": [vars(each) for each in self.formats]}
        own |= {"folder": str(self.folder), "path": self.path.name, "agrees": self.agrees}
        own |= {"tolerance": _TOLERANCES[self.precision]}
        return own | {"path_length_m": self.path.length}


@dataclass
class _Exported:
    """Drives by what was exported, which finds the path for itself."""

    call: Call
    memory: np.ndarray
    name: str = "exported"

    def __call__(self, state: CarState, errors: ErrorState) -> Tensor:
        row = measured(state)[0].numpy().astype(self.memory.dtype)
        action, self.memory = self.call(row, self.memory)
        return torch.from_numpy(action[None]).to(state.speed)


@contextlib.contextmanager
def _one_thread() -> Iterator[None]:
    """Compute as on a robot; what is so small is slower where threads wait for each other."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@_one_thread()
def run(
    config: ExportConfig, *, out: Path, on_step: Callable[[float], None] = lambda fraction: None
) -> ExportResult:
    """Write a trained controller in some formats, and compare each with the network over a lap.

    The path is that of the training, unless the configuration sets another one explicitly. The lap
    is driven in MuJoCo by the network, in 64 bits; every format is asked what it would command
    there, and then drives a lap itself.

    Args:
        out: The folder to write to; files that are there are replaced.
        on_step: Called after each step with the fraction of all laps that is done.

    Raises:
        DiffcarError: If the controller, the path or the model is unusable, or a format needs what
            is not installed.
    """
    require_formats(config.formats)
    notes: list[str] = []
    subject = load_subject(config, notes)
    _write(subject, config, out)
    kind = _KINDS[config.precision]
    calls = {name: load(name, out) for name in config.formats}
    done, num_laps = 0, 1 + sum(call is not None for call in calls.values())

    def lap(controller: Controller) -> Drive:
        nonlocal done
        driven = subject.lap(controller, lambda share: on_step((done + share) / num_laps))
        done += 1
        return driven

    by_network = lap(subject.network)
    results = []
    for name, call in calls.items():
        files = FORMATS[name].files
        written = Verified(name, files, sum((out / file).stat().st_size for file in files))
        if call is None:
            notes.append(
                f"{name} is written, and was not run: no C compiler here makes what runs here"
            )
        else:
            nothing = np.full(1 + 4 * subject.network.past_commands, np.nan, kind)
            written = _compared(written, call, nothing, by_network, subject.network)
            driven = lap(_Exported(call, nothing))
            written = replace(written, cross_track_rmse_m=driven.metrics().cross_track_rmse_m)
        results.append(written)
    rmse = by_network.metrics().cross_track_rmse_m
    precision, path = config.precision, subject.path
    return ExportResult(out, subject.spec, precision, path, results, rmse, notes)


def _write(subject: Subject, config: ExportConfig, out: Path) -> None:
    """Write the contract and the files of all formats."""
    network, path, dt = subject.network, subject.path, subject.scene.dt
    contract = contract_of(network, path, dt=dt, precision=config.precision, origin=subject.spec)
    make_folder(out)
    write_text(out / CONTRACT, json_text(contract))
    driver = Driver(network, path, dt, getattr(torch, f"float{config.precision}"))
    for name in config.formats:
        logger.info(f"writing {', '.join(str(out / file) for file in FORMATS[name].files)}")
        write(name, driver, contract, out)


def _compared(
    written: Verified, call: Call, memory: np.ndarray, by_network: Drive, network: TrackingMLP
) -> Verified:
    """Ask for the commands of a whole lap, one after the other, and compare and time them.

    Each with the past commands that the network has given by then: rounding that is fed back for a
    lap is none any more. That a format remembers what it has commanded is looked at besides.
    """
    lap = by_network.trajectory
    motion = lap.yaw, lap.speed, lap.lateral_velocity, lap.yaw_rate, lap.steering_angle
    states = torch.cat([lap.position, torch.stack(motion, -1)], -1)[:, 0].numpy()
    rows = states.astype(memory.dtype)
    expected, past = _commands(network, lap, torch.from_numpy(rows).double())
    found, seconds, remembers = np.empty_like(expected), [], True
    for index, (row, remembered) in enumerate(zip(rows, past, strict=True)):
        if index:
            memory = np.concatenate([memory[:1], remembered.astype(memory.dtype)])
        began = time.perf_counter()
        found[index], after = call(row, memory)
        seconds.append(time.perf_counter() - began)
        if index and remembered.size:
            now = [*found[index], row[6], row[3], *memory[1:-4]]
            remembers &= np.allclose(after[1:], now, rtol=1e-6)
        memory = after
    steering, speed = np.abs(found - expected).max(0).tolist()
    vehicle = network.vehicle
    share = max(steering / vehicle.max_steering, speed / vehicle.speed_increment)
    return replace(
        written,
        agrees=bool(remembers and share <= _TOLERANCES[8 * memory.itemsize]),
        difference_share=share,
        steering_difference_rad=steering,
        speed_difference_mps=speed,
        call_seconds=float(np.median(seconds)),
    )


def _commands(network: TrackingMLP, lap: Trajectory, rows: Tensor) -> tuple[np.ndarray, np.ndarray]:
    """Return what the network commands to a car that measures rows, one by one, shape (T, 2).

    And what it remembers of its commands before each, shape (T, 4 N).
    """
    state = state_of(rows)
    errors = compute_error_state(lap.path, state, lap.arc_length[:, 0])
    found: list[Tensor] = []
    remembered: list[Tensor] = []
    past = state.select(slice(1)).remembering(network.past_commands).commands
    with torch.no_grad():
        for step in range(len(rows)):
            own = slice(step, step + 1)
            car = replace(state.select(own), commands=past)
            remembered.append(rows[0, :0] if past is None else past.flatten())
            found.append(network(car, errors.select(own)))
            if past is not None:
                now = torch.stack([car.steering_angles[:, 0], car.speed], -1)
                past = torch.cat([torch.cat([found[-1], now], -1)[:, None], past[:, :-1]], 1)
    return torch.cat(found).numpy(), torch.stack(remembered).numpy()


_VERDICTS = {True: "agrees", False: "DIFFERS", None: "not run"}
_MARKS = {True: Mark.GOOD, False: Mark.BAD, None: Mark.DOUBTFUL}


def export_report(result: ExportResult) -> list[Shown]:
    """Return how each format drives."""
    columns: list[Column[Verified]] = [
        Column("format", lambda each: each.format),
        Column("difference\n", lambda each: each.difference_share, "% of full scale", 100.0),
        Column("steering\n", lambda each: each.steering_difference_rad, "rad"),
        Column("speed\n", lambda each: each.speed_difference_mps, "m/s"),
        Column("a call\n", lambda each: each.call_seconds, "µs", 1e6),
        Column("its lap\n", lambda each: each.cross_track_rmse_m, "mm", 1e3),
        Column("size\n", lambda each: each.size_bytes, "kB", 1e-3),
        Column(
            "verdict", lambda each: _VERDICTS[each.agrees], mark=lambda each: _MARKS[each.agrees]
        ),
    ]
    title = (
        f"{result.controller} on {result.path.name} ({result.path.length:.1f} m), "
        f"{result.precision} bits, in {result.folder}: its commands beside the network's"
    )
    note = (
        f"over a lap in MuJoCo, which the network drives to {1e3 * result.network_rmse_m:.3g} mm "
        f"(RMS); up to {100 * _TOLERANCES[result.precision]:g} % is rounding"
    )
    return [Table(title, columns, result.formats, note)]
