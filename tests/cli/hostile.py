"""Malformed inputs, generated, and what the command line must make of them.

`python -m tests.cli.hostile FIRST LAST` tries others than the test does.
"""

import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any
from unittest import mock

from typer.testing import CliRunner

from diffcar.checks import bench, car
from diffcar.cli.app import app
from diffcar.comparison import suite
from diffcar.demonstrations import record
from diffcar.path import load
from diffcar.tasks.tracking import simulate
from diffcar.tasks.tracking.drive import Drive, drive
from diffcar.tasks.tracking.scenes import Scenes
from tests.bicycle import bicycles

ROOT = Path(__file__).parents[2]
SETTINGS = {
    "simulate": ROOT / "configs" / "simulate.yaml",
    "record": ROOT / "configs" / "record.yaml",
    "train-e2e": ROOT / "configs" / "train_e2e.yaml",
    "train-bc": ROOT / "configs" / "train_bc.yaml",
    "compare": ROOT / "configs" / "compare.yaml",
    "check-grad": ROOT / "configs" / "check_grad.yaml",
}
ODD = [
    *(
        "",
        " ",
        "0",
        "-1",
        "1e400",
        "nan",
        "inf",
        "-.inf",
        "010",
        "1:30",
        "1_000",
        "yes",
        "null",
        "~",
    ),
    *(
        "[",
        "]",
        "{",
        "}",
        "[[",
        "{a: 1}",
        "[1, 2",
        "*x",
        "&x 1",
        "!!bool foo",
        "!!int ''",
        "!!python/x 1",
    ),
    *(
        "a\x00b",
        "\ud800",
        "\u202e",
        "é",
        "[/]",
        "[bold]",
        "$HOME",
        "x" * 300,
        "'",
        '"',
        "#",
        ": ",
        "- -",
    ),
    *(
        "../..",
        "/dev/null",
        "/dev/full",
        "/proc/self/mem",
        "a/b/c",
        "%s",
        "{}",
        "0x1F",
        "2026-13-45",
    ),
]


SUITE = """paths:
  - source: circle
  - source: slalom
conditions:
  push:
    push_force: 5.0
"""


class BegunError(Exception):
    """An input was accepted: its work would begin."""


@dataclass(frozen=True)
class Case:
    """A command line and the files that it finds."""

    arguments: list[str]
    files: dict[str, bytes]


def refuse_to_build(*args: object, **options: object) -> None:
    raise BegunError


def short_drive(*args: object, **options: object) -> Drive:
    return drive(*args, **options | {"max_time": 0.1})


def remembered(resample: Callable[..., Any]) -> Callable[..., Any]:
    """Resample the same points once: most inputs that are accepted ask for the same long roads."""
    known: dict[tuple[object, ...], Any] = {}

    def once(points: Any, step: float) -> Any:
        speed = None if points.speed is None else points.speed.tobytes()
        key = (points.xy.tobytes(), points.closed, step, speed)
        if key not in known:
            known[key] = resample(points, step)
        return tuple(None if own is None else own.copy() for own in known[key])

    return once


RESAMPLE = remembered(load._resample)


@contextmanager
def surroundings() -> Iterator[None]:
    """Let drives be short and of bicycles, and everything longer end where it would begin."""
    with (
        mock.patch.object(load, "_resample", RESAMPLE),
        mock.patch.object(simulate, "build_scene", bicycles),
        mock.patch.object(simulate, "drive", short_drive),
        mock.patch.object(record, "build_scene", refuse_to_build),
        mock.patch.object(suite, "build_scene", refuse_to_build),
        mock.patch.object(bench, "build_scene", refuse_to_build),
        mock.patch.object(car, "_begin_apart", return_value=None),
        mock.patch.dict(Scenes.__init__.__kwdefaults__, {"build": refuse_to_build}),
    ):
        yield


def plain(settings: Path) -> str:
    """Return settings without their comments, among which a change would mean nothing."""
    lines = [line.split(" #")[0].rstrip() for line in settings.read_text().splitlines()]
    return "\n".join(line for line in lines if line and not line.lstrip().startswith("#")) + "\n"


def keys_of(settings: Path) -> list[str]:
    """Return the dotted keys of settings."""
    keys, section = [], ""
    for line in plain(settings).splitlines():
        name = line.split(":")[0].strip()
        if line[0] != " ":
            section = name
        keys.append(name if line[0] != " " else f"{section}.{name}")
    return keys


def damaged(text: str, random: Random) -> str:
    """Return text with some lines or characters changed."""
    for _ in range(random.randint(1, 3)):
        lines = text.split("\n")
        place = random.randrange(len(lines))
        what = random.randrange(7)
        if what == 0:
            lines[place] = lines[place] + random.choice(ODD)
        elif what == 1:
            lines[place] = lines[place].partition(":")[0] + ": " + random.choice(ODD)
        elif what == 2:
            lines.insert(place, lines[random.randrange(len(lines))])
        elif what == 3:
            lines[place] = random.choice(ODD)
        elif what == 4:
            del lines[place]
        elif what == 5:
            cells = lines[place].split(",")
            cells[random.randrange(len(cells))] = random.choice(ODD)
            lines[place] = ",".join(cells)
        else:
            cut = random.randrange(len(text) + 1)
            return text[:cut] + random.choice(ODD) + text[cut + random.randrange(9) :]
        text = "\n".join(lines)
    return text


def encoded(text: str, random: Random) -> bytes:
    """Return text as bytes, rarely in another encoding or with bytes that belong to none."""
    data = text.encode("utf-8", "surrogatepass")
    if random.random() < 0.1:
        return data + bytes(random.randrange(256) for _ in range(9))
    if random.random() < 0.05:
        return text.encode("utf-16", "surrogatepass")
    return data


def yaml_case(random: Random) -> Case:
    command = random.choice(list(SETTINGS))
    text = encoded(damaged(plain(SETTINGS[command]), random), random)
    return Case([command, "--config", "c.yaml"], {"c.yaml": text})


def set_case(random: Random) -> Case:
    command = random.choice(list(SETTINGS))
    key = random.choice([*keys_of(SETTINGS[command]), *ODD])
    return Case(
        [command, "--set", f"{key}{random.choice(['=', '=', '=', '', '=='])}{random.choice(ODD)}"],
        {},
    )


FLAGS = {
    "simulate": [
        "--controller",
        "--path",
        "--path-scale",
        "--start",
        "--engine",
        "--csv",
        "--plot",
        "--video",
    ],
    "record": ["--out", "--controller", "--episodes", "--duration", "--path"],
    "train-e2e": ["--out", "--resume", "--stop-after", "--entity", "--path", "--actuation"],
    "train-bc": ["--data", "--column", "--expert", "--dagger-rounds", "--resume"],
    "compare": ["--suite", "--load", "--out", "--resume"],
    "check-grad": ["--model", "--entity", "--json", "--wheels"],
}


def flag_case(random: Random) -> Case:
    command = random.choice(list(FLAGS))
    arguments = [command]
    for _ in range(random.randint(1, 2)):
        arguments += [
            random.choice([*FLAGS[command], "--json", "--seed", "--set"]),
            random.choice(ODD),
        ]
    return Case(arguments, {})


def track(random: Random) -> str:
    """Return a sound track, by one of several columns."""
    header = random.choice(["x,y\n", "x_m,y_m,speed\n", "# x_m,y_m,w_tr_right_m,w_tr_left_m\n", ""])
    rows = []
    for place in range(random.choice([2, 5, 40])):
        row = [f"{0.5 * place:.3f}", f"{0.1 * (place % 7):.3f}"]
        row += {"x_m,y_m,speed\n": ["2.0"]}.get(header, ["1.1", "1.2"] if header[:1] == "#" else [])
        rows.append(",".join(row))
    return header + "\n".join(rows) + "\n"


def track_case(random: Random) -> Case:
    text = encoded(damaged(track(random), random), random)
    arguments = [
        "simulate",
        "--controller",
        "pure-pursuit",
        "--path",
        "t.csv",
        "--set",
        "max_time=0.1",
    ]
    return Case(arguments, {"t.csv": text})


def data_case(random: Random) -> Case:
    header = "episode,t_s,x_m,y_m,yaw_rad,speed_mps,"
    header += "steering_angle_rad,steering_command_rad,speed_command_mps"
    rows = [f"0,{0.02 * i:.2f},{0.04 * i:.3f},0.0,0.0,2.0,0.0,0.0,2.0" for i in range(30)]
    text = encoded(damaged("\n".join([header, *rows]) + "\n", random), random)
    return Case(["train-bc", "--path", "line", "--data", "d.csv"], {"d.csv": text})


def bytes_changed(data: bytes, random: Random) -> bytes:
    """Return bytes with some changed, cut or added."""
    changed = bytearray(data)
    for _ in range(random.randint(1, 50)):
        changed[random.randrange(len(changed))] = random.randrange(256)
    if random.random() < 0.2:
        del changed[random.randrange(len(changed)) :]
    return bytes(changed)


def checkpoint_case(random: Random) -> Case:
    saved = random.choice(sorted((ROOT / "tests" / "fixtures" / "saved").rglob("last.pt")))
    data = bytes_changed(saved.read_bytes(), random)
    arguments = ["simulate", "--controller", "c.pt", "--set", "max_time=0.1", "--path", "line"]
    return Case(arguments, {"c.pt": data})


def model_case(random: Random) -> Case:
    text = damaged((ROOT / "assets" / "car.xml").read_text(), random)
    name = random.choice(["m.xml", "m.urdf", "m"])
    return Case(["check-grad", "--model", name], {name: encoded(text, random)})


def suite_case(random: Random) -> Case:
    text = damaged(SUITE, random)
    return Case(["compare", "--suite", "s.yaml"], {"s.yaml": encoded(text, random)})


KINDS: list[tuple[Callable[[Random], Case], int]] = [
    (yaml_case, 6),
    (set_case, 5),
    (flag_case, 5),
    (track_case, 3),
    (data_case, 1),
    (checkpoint_case, 2),
    (model_case, 1),
    (suite_case, 1),
]


def case_of(seed: int) -> Case:
    """Return the malformed input of a seed."""
    random = Random(seed)
    kinds, weights = zip(*KINDS, strict=True)
    return random.choices(kinds, weights)[0](random)


def tree(folder: Path) -> dict[str, bytes]:
    """Return the files below a folder."""
    return {
        str(own.relative_to(folder)): own.read_bytes() for own in folder.rglob("*") if own.is_file()
    }


def violation(case: Case, folder: Path) -> str | None:
    """Run a command in a folder of its own; return what it should not have done."""
    for name, data in case.files.items():
        (folder / name).write_bytes(data)
    before, home = tree(folder), Path.cwd()
    os.chdir(folder)
    try:
        done = CliRunner().invoke(app, case.arguments)
    finally:
        os.chdir(home)
    if isinstance(done.exception, BegunError):
        return None
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        return f"{type(done.exception).__name__}: {done.exception}"
    if done.exit_code == 0:
        return None
    if done.exit_code != 2:
        return f"exit code {done.exit_code}"
    told = done.stderr.lower()
    if "traceback" in told or "error" not in told:
        return f"told: {done.stderr[:300]}"
    if "error:" in told and "hint:" not in told:
        return f"without a hint: {done.stderr[:300]}"
    if len(done.stderr) > 5000:
        return f"{len(done.stderr)} characters on stderr"
    after = tree(folder)
    return None if after == before else f"made {sorted(after.keys() - before.keys())}"


def main(first: int, last: int) -> None:
    """Print what inputs of a range of seeds should not have done."""
    found = 0
    with surroundings():
        for seed in range(first, last):
            with tempfile.TemporaryDirectory() as folder:
                told = violation(case := case_of(seed), Path(folder))
            if told is not None:
                found += 1
                print(seed, case.arguments, told, flush=True)
    print(f"{last - first} inputs, {found} violations")


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
