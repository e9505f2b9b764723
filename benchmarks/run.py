"""Measure what diffcar's speed rests on, as ratios taken in one run.

Run: `python benchmarks/run.py [--quick] [--only commands first gradient training]`. Four parts:

- commands: whole commands, from the start of the process to its end, in turn with the older way to
  do the same that settings still offer, or with the same of another checkout (`--against`);
- first: a whole training with no kernel compiled yet, the next one, and one after a first that was
  killed;
- gradient: forward and backward pass over a plain rollout of the same steps, by number of cars,
  with arrays and with compiled fields;
- training: wall time of training until evaluations on the training path find 20, 5, 2 and 1 mm.

Prints tables, and appends a line of JSON to `--history` (default: benchmarks/history.jsonl). What
else the machine does falls on both sides of a pair; trust the ratios, not the seconds.
"""

import argparse
import contextlib
import csv
import datetime
import importlib.metadata
import itertools
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from step_cost import VARIANTS, measure_apart

_HUNDRED = ["--set=train.num_updates=100"]
_PLAIN_SCENE = ["--set=evaluation.plain_scene=true"]
_COMMANDS: dict[str, tuple[list[str], list[str]]] = {
    # Name: the command as it is, and what makes it as it was, if settings can.
    "--help": (["--help"], []),
    "train-e2e": (["train-e2e"], [*_HUNDRED, *_PLAIN_SCENE]),
    "train-e2e, 100 updates": (["train-e2e", *_HUNDRED], _PLAIN_SCENE),
    "train-e2e --entity mpm": (["train-e2e", "--entity=mpm"], []),
    "train-bc": (["train-bc"], []),
    "train-ppo": (["train-ppo"], []),
    "simulate": (["simulate", "--controller=stanley"], []),
    "check-grad": (["check-grad"], []),
    "franka-test": (["franka-test"], []),
}
_MILLIMETRES = (20, 5, 2, 1)
_KILLED_AFTER = 60.0
_PASSES = ("forward", "backward", "plain")


def main() -> None:
    """Measure, print and append to the history."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="one repeat, few cars, one seed")
    parser.add_argument("--only", nargs="+", choices=list(_PARTS), default=list(_PARTS))
    history = Path(__file__).with_name("history.jsonl")
    parser.add_argument("--history", type=Path, default=history)
    parser.add_argument("--repeats", type=int, default=5, help="runs of each command")
    parser.add_argument("--against", type=Path, help="another checkout to time commands against")
    given = parser.parse_args()
    if given.against is not None and not (given.against / "diffcar" / "__main__.py").is_file():
        parser.error(f"{given.against} is no checkout of diffcar")
    if given.against is not None and "commands" not in given.only:
        parser.error("--against is for commands alone")
    measured = {name: _PARTS[name](given) for name in given.only}
    about = {
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "versions": {
            name: importlib.metadata.version(name)
            for name in ("diffcar", "genesis-world", "quadrants", "torch")
        },
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        "commit": _commit(Path(__file__).parents[1]),
    }
    if given.against is not None:
        about["commit of the other"] = _commit(given.against)
    with given.history.open("a") as stream:
        stream.write(json.dumps(about | measured) + "\n")


def commands(given: argparse.Namespace) -> dict[str, dict[str, float]]:
    """Time whole commands, in pairs where there is another checkout or an older way."""
    found = {}
    for name, (command, older_way) in _COMMANDS.items():
        sides: list[tuple[list[str], Path | None]] = [(command, None)]
        if given.against is not None:
            sides.append((command, given.against.resolve()))
        elif older_way:
            sides.append((command + older_way, None))
        repeats = range(1 if given.quick else given.repeats)
        runs = [[_seconds(side, tree=tree) for side, tree in sides] for _ in repeats]
        found[name] = {"seconds": statistics.median(run[0] for run in runs)}
        if len(sides) > 1:
            other = "seconds as it was" if given.against is None else "seconds of the other"
            found[name][other] = statistics.median(run[1] for run in runs)
            found[name]["ratio"] = statistics.median(run[0] / run[1] for run in runs)
        told = ", ".join(f"{what} {value:.2f}" for what, value in found[name].items())
        print(f"{name}: {told}", flush=True)
    return found


def first(given: argparse.Namespace) -> dict[str, float]:
    """Time a training that compiles every kernel, the next, and one after a kill on the way."""
    with tempfile.TemporaryDirectory() as cache:
        found = {"seconds": _seconds(["train-e2e"], cache)}
        found["seconds, kernels cached"] = _seconds(["train-e2e"], cache)
    if not given.quick:
        with tempfile.TemporaryDirectory() as cache:
            with contextlib.suppress(subprocess.TimeoutExpired):
                _run(["train-e2e"], Path(cache), cache, timeout=_KILLED_AFTER)
            found[f"seconds, killed after {_KILLED_AFTER:g} before"] = _seconds(
                ["train-e2e"], cache
            )
    print(", ".join(f"{what} {value:.1f}" for what, value in found.items()), flush=True)
    return found


def gradient(given: argparse.Namespace) -> dict[str, dict[str, float]]:
    """Time the gradient of a rollout against the rollout in plain physics."""
    found = {}
    for num_envs, variant in itertools.product((24,) if given.quick else (24, 64, 512), VARIANTS):
        own = measure_apart(num_envs, variant)
        forward, backward, plain = (own[f"{name} [ms/step]"] for name in _PASSES)
        name = str(num_envs) if variant == "arrays" else f"{num_envs}, compiled fields"
        found[name] = own | {"gradient over plain": (forward + backward) / plain}
        told = ", ".join(f"{what} {value:.2f}" for what, value in found[name].items())
        print(f"cars: {name}: {told}", flush=True)
    return found


def training(given: argparse.Namespace) -> dict[str, dict[str, list[float | None]]]:
    """Time how long methods train until evaluations are good."""
    methods = {
        "train-e2e": [*_HUNDRED, "--no-certify", "--set=train.gradient_check_interval=0"],
        "train-ppo": [],
        "train-bc": [],
    }
    found: dict[str, dict[str, list[float | None]]] = {}
    for name, settings in methods.items():
        found[name] = {}
        for seed in (0,) if given.quick else (0, 1, 2):
            interval = "--set=evaluation.interval=5"
            options = [*settings, interval, "--set=evaluation.unseen_paths=[]", f"--seed={seed}"]
            times = _times_to([name, *options])
            found[name][str(seed)] = times
            told = ", ".join(
                f"{millimetres} mm {'never' if seconds is None else f'{seconds:.1f} s'}"
                for millimetres, seconds in zip(_MILLIMETRES, times, strict=True)
            )
            print(f"{name}, seed {seed}: {told}", flush=True)
    return found


_PARTS = {"commands": commands, "first": first, "gradient": gradient, "training": training}


def _commit(tree: Path) -> str:
    """Return the commit of a checkout, empty where there is none."""
    command = ["git", "-C", str(tree), "rev-parse", "--short", "HEAD"]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()


def _seconds(arguments: list[str], cache: str | None = None, tree: Path | None = None) -> float:
    """Return the wall time of a whole command in an empty folder [s]."""
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        _run(arguments, Path(folder), cache, tree=tree)
        return time.perf_counter() - began


def _times_to(arguments: list[str]) -> list[float | None]:
    """Return when a training's evaluations first find each error [s of training]."""
    with tempfile.TemporaryDirectory() as folder:
        _run([*arguments, "--out=run"], Path(folder))
        with (Path(folder) / "run" / "metrics.csv").open(newline="") as stream:
            rows = [row for row in csv.DictReader(stream) if row["eval_cross_track_rmse_m"]]
    seen = [(float(row["train_seconds"]), float(row["eval_cross_track_rmse_m"])) for row in rows]
    return [
        next((seconds for seconds, error in seen if 1e3 * error <= millimetres), None)
        for millimetres in _MILLIMETRES
    ]


def _run(
    arguments: list[str],
    folder: Path,
    cache: str | None = None,
    timeout: float | None = None,
    tree: Path | None = None,
) -> None:
    """Run a command that must succeed, with kernels cached in the user's folder or another.

    It is this checkout's, or that of another `tree`.
    """
    paths = [str(tree or Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")]
    elsewhere = {"PYTHONPATH": os.pathsep.join(filter(None, paths))}
    if cache is not None:
        elsewhere |= {"HOME": cache, "XDG_CACHE_HOME": cache}
    subprocess.run(
        [sys.executable, "-m", "diffcar", *arguments],
        cwd=folder,
        env=os.environ | elsewhere,
        timeout=timeout,
        check=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


if __name__ == "__main__":
    main()
