"""What makes training through the physics hold at the limit of grip: one change at a time.

Each variant trains with `configs/train_e2e_limit.yaml` and what it changes, in a process of its
own, and drives paths that it has never seen, from rest and flying. Run:
`python benchmarks/limit_search.py --path track.csv --scale 0.1 --unseen other.csv` with tracks of
your own, or without arguments on a random road; `--only NAME` and `--seed N` may be repeated. Two
to four minutes a training. Every result is a line of `--history` (JSON), too.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

SETTINGS = Path(__file__).parents[1] / "configs" / "train_e2e_limit.yaml"
VARIANTS: dict[str, list[str]] = {
    "as it is": [],
    "all of the steering at any speed": ["controller.steering_acceleration=null"],
    "quadratic cost of speed": ["loss.speed_scale=null"],
    "gradient clipped at 1": ["train.max_gradient_norm=1.0"],
    "gradient clipped at 0.1": ["train.max_gradient_norm=0.1"],
    "full speed from the start": ["train.ramp_updates=0"],
    "one pace for all cars": ["train.pace_spread=0"],
    "previews in metres": [
        "controller.preview_unit=m",
        "controller.curvature_preview=[0.0, 0.1, 0.2, 0.35, 0.55, 0.8]",
        "controller.speed_preview=[0.15, 0.4]",
    ],
    "smaller steps": ["train.learning_rate=0.006"],
    "horizon 24": ["train.horizon=24"],
    "horizon 48": ["train.horizon=48"],
    "48 cars": ["train.num_envs=48"],
    "rear drive": ["drive=rear"],
    "loss of the worst quarter of the cars": [],
    "gradients averaged about the weights": ["train.num_updates=110", "train.decay_updates=110"],
    "steps bounded in what they change": [],
    "a learnt value at the cut": [],
}
"""What each changes; `as it is` is what was kept."""
TRAINERS = {
    "loss of the worst quarter of the cars": "WORST",
    "gradients averaged about the weights": "AVERAGED",
    "steps bounded in what they change": "BOUNDED",
    "a learnt value at the cut": "VALUE",
}
"""Those that train in another way, by their names in limit_trainers.py."""


def main(
    path: Annotated[str, typer.Option(help="What is trained on.")] = "random",
    scale: Annotated[float, typer.Option(help="Factor on the coordinates of files.")] = 1.0,
    unseen: Annotated[list[str] | None, typer.Option(help="What is driven afterwards.")] = None,
    only: Annotated[list[str] | None, typer.Option(help="Variants; all without.")] = None,
    seed: Annotated[list[int] | None, typer.Option(help="Seeds; 0 without.")] = None,
    history: Annotated[Path | None, typer.Option(help="File to append results to.")] = None,
) -> None:
    """Train every variant and print what it comes to."""
    if unknown := set(only or ()) - set(VARIANTS):
        raise typer.BadParameter(f"{', '.join(unknown)}: none of {', '.join(VARIANTS)}")
    table = Table("variant", "seed", "path", "start", "RMSE [mm]", "max [mm]", "driven [%]", "[s]")
    for name in only or VARIANTS:
        for own in seed or [0]:
            where = [f"path.source={path}", f"path.scale={scale}"]
            if unseen:
                where.append(f"evaluation.unseen_paths={json.dumps(unseen)}")
            found = train([*where, *VARIANTS[name]], own, TRAINERS.get(name))
            if history is not None:
                with history.open("a") as lines:
                    lines.write(json.dumps({"variant": name, "seed": own, **found}) + "\n")
            for row in found["scores"] or [{}]:
                table.add_row(name, str(own), *shown(row), f"{found['train_seconds']:.0f}")
    Console().print(table)


def train(overrides: list[str], seed: int, trainer: str | None = None) -> dict[str, object]:
    """Train in a process of its own; return its scores, or none and why."""
    with tempfile.TemporaryDirectory() as folder:
        result = Path(folder) / "result.json"
        if trainer is None:
            command = [sys.executable, "-m", "diffcar", "train-e2e", "--no-certify"]
            command += [f"--seed={seed}", f"--config={SETTINGS}", f"--out={folder}/run"]
            command += [f"--json={result}", *(f"--set={own}" for own in overrides)]
        else:
            own = Path(__file__).with_name("limit_trainers.py")
            command = [sys.executable, str(own), trainer, str(SETTINGS), folder, str(seed)]
            command += overrides
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if not result.is_file():
            told = done.stderr.strip().splitlines()[-2:]
            return {"scores": [], "train_seconds": float("nan"), "error": told}
        values = json.loads(result.read_text())
    return {"scores": values["scores"], "train_seconds": values["train_seconds"]}


def shown(score: dict[str, object]) -> list[str]:
    """Return a score's cells."""
    if not score:
        return ["broke off", "", "", "", ""]
    figures = score["metrics"]
    assert isinstance(figures, dict)
    return [
        str(score["path"]),
        str(score["start"]),
        *(
            f"{1e3 * (figures[f'cross_track_{key}_m'] or float('nan')):.3g}"
            for key in ("rmse", "max")
        ),
        f"{100 * figures['completion']:.0f}",
    ]


if __name__ == "__main__":
    typer.run(main)
