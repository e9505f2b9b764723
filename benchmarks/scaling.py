"""Measure an update of many cars: in one process, in several with averaged gradients, on a GPU.

Run: `python benchmarks/scaling.py [--num-cars 24 512 2048] [--processes 1 2] [--gpu]`. An update
is the forward and the backward pass of the training loss over the default horizon, as `train-e2e`
does it, and in several processes the averaging (`torch.distributed`, gloo); the step of Adam, which
is nothing beside it, is left out, so that all see the same weights. Each process has its share of
the same cars.

Prints medians, what they come to in car steps a second, and how far the gradient is from that of
the first row with as many cars (float32: some 1e-6 is rounding) and from a finite difference along
itself. What fails is a row, too. Measure one machine at a time: ratios are worth more than seconds.
"""

import argparse
import itertools
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from operator import itemgetter
from pathlib import Path
from typing import Any, NamedTuple

from rich.console import Console
from rich.table import Table

_COLUMNS = (
    "cars",
    "forward [ms]",
    "backward [ms]",
    "averaging [ms]",
    "update [ms]",
    "car steps/s",
    "gradient apart",
    "by differences",
    "memory [GB]",
    "ready after [s]",
)


class Setup(NamedTuple):
    """Where and in how many processes and threads cars are simulated."""

    backend: str
    processes: int = 1
    threads: int = 1

    def __str__(self) -> str:
        """Return what a table calls it."""
        parts = [(self.processes, "processes"), (self.threads, "threads")]
        named = [f"{number} {name}" for number, name in parts if number > 1]
        return ", ".join((self.backend, *named))


def work(setup: Setup, rank: int, all_num_cars: list[int], repeats: int, folder: Path) -> None:
    """Measure all numbers of cars in one of a setup's processes; the first writes what it finds."""
    import torch
    import torch.distributed as dist

    if setup.processes > 1:
        dist.init_process_group("gloo", rank=rank, world_size=setup.processes)
    for num_cars in all_num_cars:
        if num_cars % setup.processes:
            row: dict[str, Any] = {"failed": f"{num_cars} cars are no equal shares"}
        else:
            row, gradient = measure(setup, rank, num_cars, repeats)
            if rank == 0:
                torch.save(gradient.cpu(), folder / f"gradient-{num_cars}.pt")
        if rank == 0:
            with (folder / "rows.jsonl").open("a") as file:
                file.write(json.dumps({"cars": num_cars, **row}) + "\n")
    if setup.processes > 1:
        dist.destroy_process_group()


def measure(setup: Setup, rank: int, num_cars: int, repeats: int) -> tuple[dict[str, Any], Any]:
    """Return the figures of an update, and its gradient, of so many cars in all processes."""
    import torch
    import torch.distributed as dist

    import diffcar
    from diffcar.gradients.finite_differences import spot_check
    from diffcar.sim.contract import map_tensors
    from diffcar.tasks.tracking.task import TrackingTask

    began = time.perf_counter()
    share = num_cars // setup.processes
    asked = [f"train.num_envs={share}", "evaluation.num_envs=1", "evaluation.unseen_paths=[]"]
    config = diffcar.load_config("train-e2e", overrides=asked, backend=setup.backend)
    horizon = config.train.horizon
    task = TrackingTask(config).build()
    weights = list(task.network.parameters())
    everywhere = diffcar.draw_starts(task.path, num_cars, seed=0, config=config.start)
    own = slice(rank * share, (rank + 1) * share)
    start = map_tensors(everywhere, itemgetter(own))
    is_on_gpu = task.scene.device.type == "cuda"

    def cost() -> torch.Tensor:
        return task.loss.costs(task.roll_out(start, horizon)).total

    def now() -> float:
        if is_on_gpu:
            torch.cuda.synchronize()
        return time.perf_counter()

    times = []
    for repeat in range(repeats + 1):
        task.network.zero_grad()
        if setup.processes > 1:
            dist.barrier()
        ticks = [now()]
        loss = cost()
        ticks.append(now())
        task.backward(loss)
        ticks.append(now())
        gradient = torch.cat([w.grad.flatten() for w in weights if w.grad is not None])
        if setup.processes > 1:
            gradient = gradient.cpu()
            dist.all_reduce(gradient)
            gradient = gradient / setup.processes
        ticks.append(now())
        if repeat:  # the first compiles
            times.append([1e3 * (b - a) for a, b in itertools.pairwise(ticks)])
        else:
            ready = ticks[-1] - began
    forward, backward, averaging = map(statistics.median, zip(*times, strict=True))
    update = statistics.median(map(sum, times))
    row: dict[str, Any] = {
        "forward [ms]": forward,
        "backward [ms]": backward,
        "update [ms]": update,
        "car steps/s": 1e3 * num_cars * horizon / update,
        "memory [GB]": _memory(is_on_gpu),
        "ready after [s]": ready,
        "fast paths": sorted(task.scene.fast_paths),
    }
    if setup.processes > 1:
        row["averaging [ms]"] = averaging
    else:
        row["by differences"] = spot_check(cost, weights, [w.grad for w in weights])
    return row, gradient


def _memory(is_on_gpu: bool) -> float:
    """Return the memory in use on the GPU, else the most that this process has had [GB]."""
    import resource

    import torch

    if is_on_gpu:
        free, total = torch.cuda.mem_get_info()
        return (total - free) / 1e9
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9


def run(setup: Setup, given: argparse.Namespace, folder: Path) -> Iterator[dict[str, Any]]:
    """Run a setup's processes and yield its rows, the last one saying what failed, if anything."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    environment = {**os.environ, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    if setup.threads > 1:  # Genesis has one thread on a CPU, unless it is told so
        environment |= {"QD_NUM_THREADS": str(setup.threads), "GS_PARA_LEVEL": "2"}
    command = [sys.executable, __file__, "--repeats", str(given.repeats), "--num-cars"]
    command += [*map(str, given.num_cars), "--setup", json.dumps(setup), "--folder", str(folder)]
    logs = [folder / f"log-{rank}.txt" for rank in range(setup.processes)]
    workers = []
    for rank, log in enumerate(logs):
        with log.open("w") as file:
            own = [*command, "--rank", str(rank)]
            workers.append(
                subprocess.Popen(own, stdout=file, stderr=file, env=environment, text=True)
            )
    deadline, why = time.monotonic() + given.limit, ""
    try:
        while not why and any(worker.poll() is None for worker in workers):
            why = _failure(workers, logs, given.tail)  # for which the others would wait
            if time.monotonic() > deadline:
                why = f"not done after {given.limit:g} s"
            time.sleep(0.2)
        why = why or _failure(workers, logs, given.tail)
    finally:
        for worker in workers:
            if worker.poll() is None:
                worker.kill()
            worker.wait()
    rows = folder / "rows.jsonl"
    measured = [json.loads(line) for line in rows.read_text().splitlines()] if rows.exists() else []
    yield from measured
    if why:
        yield {"cars": given.num_cars[min(len(measured), len(given.num_cars) - 1)], "failed": why}


def _failure(workers: list[subprocess.Popen[bytes]], logs: list[Path], num_lines: int) -> str:
    """Return what the first process that failed said last, if one has."""
    for worker, log in zip(workers, logs, strict=True):
        if code := worker.poll():
            lines = log.read_text(errors="replace").splitlines()[-num_lines:]
            return "\n".join((f"exit code {code}", *lines))
    return ""


def setups(given: argparse.Namespace) -> Iterator[Setup]:
    """Yield what is asked for, the cheapest to start first."""
    for processes in given.processes:
        yield Setup("cpu", processes)
    for threads in given.threads:
        yield Setup("cpu", threads=threads)
    if given.gpu:
        yield Setup("gpu")


def main() -> None:
    """Run all setups, one after the other, and print a row for each number of cars."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--num-cars", type=int, nargs="+", default=[24, 512, 2048])
    parser.add_argument("--processes", type=int, nargs="*", default=[1, 2], help="on the CPU")
    threads = "of Genesis in one process on the CPU, which compiles other kernels"
    parser.add_argument("--threads", type=int, nargs="*", default=[], help=threads)
    parser.add_argument("--gpu", action="store_true", help="one process on a GPU, too")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--limit", type=float, default=1800.0, help="seconds a setup may take")
    parser.add_argument("--json", type=Path, help="append the rows to a file, one a line")
    references = "folder with the gradients to compare with; what is missing there is added"
    parser.add_argument("--references", type=Path, help=references)
    parser.add_argument("--tail", type=int, default=1, help="lines told of what failed")
    parser.add_argument("--setup", type=json.loads, help=argparse.SUPPRESS)
    parser.add_argument("--rank", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.setup:
        work(Setup(*given.setup), given.rank, given.num_cars, given.repeats, given.folder)
        return
    console = Console(width=None if sys.stdout.isatty() else 160)
    references = given.references or Path(tempfile.mkdtemp())
    references.mkdir(parents=True, exist_ok=True)
    table = Table("setup", *_COLUMNS, title=f"an update, median of {given.repeats}")
    failures = []
    for setup in setups(given):
        with tempfile.TemporaryDirectory() as name:
            for row in run(setup, given, Path(name)):
                if "failed" in row:
                    failures.append(f"{setup}, {row['cars']} cars: {row['failed']}")
                    table.add_row(str(setup), str(row["cars"]), "failed")
                else:
                    row["gradient apart"] = _apart(Path(name), row["cars"], references)
                    table.add_row(str(setup), *(_cell(row.get(column)) for column in _COLUMNS))
                if given.json:
                    with given.json.open("a") as file:
                        file.write(json.dumps({"setup": str(setup), **row}) + "\n")
        console.print(f"{setup}: done", style="dim")
    console.print(table)
    for failure in failures:
        console.print(f"failed: {failure}", markup=False)


def _apart(folder: Path, num_cars: int, references: Path) -> float:
    """Return how far a gradient is from the first of as many cars, relative to that."""
    import torch

    file = f"gradient-{num_cars}.pt"
    gradient = torch.load(folder / file).double()
    if not (references / file).exists():
        torch.save(gradient, references / file)
    reference = torch.load(references / file)
    return float((gradient - reference).norm() / reference.norm())


def _cell(value: float | None) -> str:
    """Return a number as a table shows it."""
    if value is None:
        return ""
    if isinstance(value, int):
        return str(value)
    if 0 < abs(value) < 1e-2:
        return f"{value:.1e}"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.2f}"


if __name__ == "__main__":
    main()
