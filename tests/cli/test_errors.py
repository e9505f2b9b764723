"""What cannot be done is told at once: help, usage, settings and input, without a simulator."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from typer.testing import Result

from diffcar.cli.app import app
from tests.cli.conftest import Outcome, run_light

# What its tests share is made in one worker alone.
pytestmark = pytest.mark.xdist_group("errors")

COMMANDS = [command.name for command in app.registered_commands]
HELP = {"--help": ["--help"], **{f"{name} --help": [name, "--help"] for name in COMMANDS}}
HELP["--version"] = ["--version"]

USAGE_ERRORS = {
    "unknown command": ["fly"],
    "unknown option": ["simulate", "--wings"],
    "a word for a number": ["train-e2e", "--set", "train.learning_rate=fast"],
    "a value for a section": ["simulate", "--set", "path=eight"],
    "a setting without a value": ["train-e2e", "--set", "train.horizon"],
    "a recording over the path": ["record", "--path", "track.csv", "--out", "track.csv"],
    "a method for a list of them": ["compare", "--set", "methods=e2e"],
    "no argument to an option": ["simulate", "--path"],
    "bad choice": ["train-e2e", "--precision", "16"],
    "unknown key": ["train-e2e", "--set", "train.horizn=3"],
    "bad value": ["train-e2e", "--set", "dt=-1"],
    "missing configuration file": ["train-e2e", "--config", "nowhere.yaml"],
    "negative scale": ["simulate", "--path-scale", "-1"],
    "output into a missing folder": ["simulate", "--csv", "nowhere/out.csv"],
    "output over the input": ["simulate", "--path", "track.csv", "--csv", "track.csv"],
    "plot with another suffix": ["simulate", "--plot", "plot.txt"],
    "resume and out": ["train-e2e", "--resume", "a", "--out", "b"],
    "resume of nothing": ["train-e2e", "--resume", "nowhere"],
    "a recording over another": ["record", "--out", "track.csv"],
    "a recording of nobody": ["record", "--expert", "telepathy"],
    "a recording of no episodes": ["record", "--episodes", "0"],
    "unknown controller": ["simulate", "--controller", "telepathy"],
    "unknown path": ["train-e2e", "--path", "figure-eigth"],
    "a path too long to be a file": ["simulate", "--path", "x" * 5000],
    "JSON over the input": ["simulate", "--path", "track.csv", "--json", "track.csv"],
    "two results in one file": ["simulate", "--csv", "a", "--json", "a"],
    "a device": ["simulate", "--csv", "/dev/null"],
    "not a number": ["simulate", "--set", "start_heading=.nan"],
    "an impossible date": ["simulate", "--set", "seed=2024-13-45"],
    "a text for a number": ["simulate", "--set", "substeps='12'"],
    "a film of MuJoCo": ["simulate", "--engine", "mujoco", "--video", "film.mp4"],
    "a film with another suffix": ["franka-test", "--video", "film.avi"],
    "tolerance that 32 bits cannot tell": ["franka-test", "--precision", "32"],
    "an unknown key of the arm": ["franka-test", "--set", "reach.joint_stp=1"],
    "an endless number": ["train-e2e", "--seed", "9" * 30],
    "two names for four wheels": ["check-grad", "--car=a.xml", "--wheel-joints", "left,right"],
    "joints of no file": ["simulate", "--steering-joints", "left,right"],
    "one car by two names": ["check-grad", "--car", "a.xml", "--model", "a.xml"],
    "wheels of a soft body": ["check-grad", "--entity", "mpm", "--wheels"],
    "an entity of no kind": ["check-grad", "--entity", "gas"],
    "a rollout of no steps": ["check-grad", "--set", "certificate.horizons=[0]"],
    "a column of no name": ["train-bc", "--data", "track.csv", "--column", "x_m"],
    "a column from nothing": ["train-bc", "--data", "track.csv", "--column", "=x"],
    "an expert that is nobody": ["train-bc", "--expert", "telepathy"],
    "more rounds than passes": ["train-bc", "--dagger-rounds", "3", "--set", "train.num_updates=3"],
    "JSON over the demonstrations": ["train-bc", "--data", "track.csv", "--json", "track.csv"],
    "cloning that goes on with nothing": ["train-bc", "--resume", "nowhere"],
    "a setting of another method": ["train-ppo", "--set", "train.horizon=64"],
    "a discount of one": ["train-ppo", "--set", "train.discount=1.0"],
    "reinforcement that goes on with nothing": ["train-ppo", "--resume", "nowhere"],
    "a suite that is missing": ["compare", "--suite", "nowhere.yaml"],
    "a suite of no name": ["compare", "--suite", "nope"],
    "a suite with settings of its own, quickly": ["compare", "--suite", "limit", "--quick"],
    "a suite with settings of its own, resumed": ["compare", "--suite", "limit", "--resume", "."],
    "a suite with an unknown key": ["compare", "--suite", "suite.yaml"],
    "a suite of an unknown path": ["compare", "--set", "suite.paths=[{source: eight}]"],
    "a suite that is a table": ["compare", "--suite", "track.csv"],
    "an unknown method": ["compare", "--set", "methods=[e2e, telepathy]"],
    "a run of an unknown method": ["compare", "--load", "telepathy=runs/a"],
    "a run of a method that is tuned": ["compare", "--load", "stanley=runs/a"],
    "a run of no method": ["compare", "--load", "runs/a"],
    "a run of a method left out": ["compare", "--set", "methods=[ppo]", "--load", "e2e=runs/a"],
    "a run that is missing": ["compare", "--load", "e2e=nowhere"],
    "a comparison that is none": ["compare", "--resume", "."],
    "a quick one that goes on": ["compare", "--resume", ".", "--quick"],
    "a loop that is open": ["simulate", "--path", "circle", "--open"],
    "a loop that is closed anyway": ["compare", "--path", "circle", "--closed"],
    "one's own path that is open": ["record", "--path", "mine:road", "--open"],
    "a lap of no log": ["simulate", "--path", "circle", "--lap"],
    "a lap that is open": ["simulate", "--path", "track.csv", "--lap", "--open"],
    "degrees of a built-in path": ["record", "--path", "sine", "--latlon"],
    "a column of a built-in path": ["simulate", "--path", "sine", "--column", "x=east"],
    "a column that paths have not": ["simulate", "--path", "track.csv", "--column", "z=up"],
    "a tolerance of nothing": ["simulate", "--set", "path.tolerance=0"],
    "columns of a path without a file": ["train-e2e", "--set", "path.columns=[x,y]"],
    "a seed of a path that has none": ["train-e2e", "--path", "track.csv", "--set", "path.seed=3"],
    "a push without figures": ["train-e2e", "--entity=mpm", "--set=evaluation.skip_distance=9"],
    "a column of no such kind": ["simulate", "--set", "path.columns=[x,y,w]"],
    "columns of no demonstrations": ["train-bc", "--column", "x_m=X"],
    "no demonstrations to skip": ["train-bc", "--skip-incomplete"],
    "an expert beside demonstrations": ["train-bc", "--data", "track.csv", "--expert", "stanley"],
    "a run below a device": ["train-e2e", "--out", "/dev/null/run"],
    "a run in a loop of links": ["compare", "--out", "loop/run"],
    "a name of 256 bytes": ["franka-test", "--out", "x" * 256],
    "a run to go on with of 256 bytes": ["compare", "--resume", "x" * 256],
    "a training to go on with of 256 bytes": ["train-bc", "--resume", "x" * 256],
    "a slip in a run's name": ["simulate", "--controller", "my-rnu"],
    "a slip in the name of a run's checkpoint": ["record", "--expert=my-rnu/checkpoints/last.pt"],
    "a slip in the name of what is shipped": ["simulate", "--controller", "shiped"],
    "a slip in a run to export": ["export", "my-rnu"],
    "a slip in a run to go on with": ["train-bc", "--resume", "my-rnu"],
    "a slip in a run to load": ["compare", "--load", "e2e=my-rnu"],
    "a slip in a comparison to go on with": ["compare", "--resume", "cmp2"],
    "a run to load of 256 bytes": ["compare", "--load", "e2e=" + "x" * 256],
    "JSON in place of the run": ["train-e2e", "--out", "r", "--json", "r"],
    "JSON in a loop of links": ["simulate", "--json", "loop"],
    "a picture behind a broken link": ["simulate", "--plot", "dangling.png"],
    "a key given twice": ["compare", "--suite", "twice.yaml"],
    "settings without end": ["simulate", "--config", "/dev/zero"],
    "a tag": ["train-e2e", "--set", "path.closed=!!bool foo"],
    "no number after a tag": ["train-e2e", "--set", 'seed=!!int ""'],
    "a NUL in a name": ["simulate", "--set", 'model="a\\0b"'],
    "a NUL in the name of data": ["train-bc", "--set", 'data=["a\\0b"]'],
    "square brackets": ["simulate", "--path", "[/b]", "--controller", "[red]"],
    "minutes for a number": ["train-e2e", "--set", "seed=1:30"],
    "clones without their expert": ["compare", "--set", "methods=[bc-e2e]"],
}


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Outcome]:
    """What all of these commands come to, one after the other in one process."""
    cases = {}
    for name, arguments in {**HELP, **USAGE_ERRORS}.items():
        folder = tmp_path_factory.mktemp("light")
        (folder / "track.csv").write_text("x,y\n0,0\n1,0\n2,0\n3,0\n")
        (folder / "my-run" / "checkpoints").mkdir(parents=True)
        (folder / "runs" / "cmp1").mkdir(parents=True)
        (folder / "runs" / "cmp1" / "compare.yaml").touch()
        (folder / "loop").symlink_to("loop")
        (folder / "dangling.png").symlink_to("nowhere")
        (folder / "twice.yaml").write_text("paths: [{source: sine, source: line}]\n")
        (folder / "suite.yaml").write_text("paths: [{source: sine}]\nwind: 3\n")
        cases[name] = (arguments, folder)
    return run_light(cases)


@pytest.mark.parametrize("case", HELP)
def test_help_needs_neither_torch_nor_genesis(case: str, outcomes: dict[str, Outcome]) -> None:
    """Help answers at once, which it could not if it imported the simulator."""
    done = outcomes[case]
    assert (done.code, done.heavy) == (0, []), done.stderr
    assert "diffcar" in done.stdout


@pytest.mark.parametrize("case", USAGE_ERRORS)
def test_usage_error_is_explained_without_torch(case: str, outcomes: dict[str, Outcome]) -> None:
    """Exit code 2, words on stderr, nothing on stdout, no traceback, no heavy import."""
    done = outcomes[case]
    assert (done.code, done.heavy) == (2, []), done.stderr
    assert "rror" in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
    assert len(done.stderr) < 6000


HINTS = {
    "a word for a number": "train.learning_rate (default: 0.01): Adam's step size",
    "a value for a section": "path is a section: set path.source, path.scale",
    "a setting without a value": "such as --set train.horizon=24",
    "a recording over the path": "give the result another name",
    "output over the input": "give the result another name",
    "two results in one file": "give one another name",
    "a method for a list of them": "methods (default: [e2e, ppo, bc-pure-pursuit,",
    "a suite of no name": "shipped are limit",
    "an unknown method": "'telepathy' is none of e2e, ppo,",
    "a slip in a run's name": "did you mean 'my-run'? give a run folder",
    "a slip in the name of a run's checkpoint": "did you mean 'my-run'? give a run folder",
    "a slip in the name of what is shipped": "did you mean 'shipped'? give",
    "a slip in a run to export": "did you mean 'my-run'? give a run folder",
    "a slip in a run to go on with": "did you mean 'my-run'? give the folder",
    "a slip in a run to load": "did you mean 'my-run'? give the folder",
    "a slip in a comparison to go on with": "did you mean 'runs/cmp1'? give the folder",
}


@pytest.mark.parametrize("case", HINTS)
def test_usage_error_says_what_would_help(case: str, outcomes: dict[str, Outcome]) -> None:
    """What is expected, with its default or the names there are."""
    assert HINTS[case] in outcomes[case].stderr


INPUT_ERRORS = {
    "text as a checkpoint": (["--controller", "text.pt"], "'text.pt' is no checkpoint, or is"),
    "a slip in one's own path": (
        ["--path", "my_bend:hairpn"],
        "did you mean my_bend:hairpin?",
    ),
    "damaged checkpoint": (["--controller", "damaged.pt"], "damaged.pt"),
    "empty run folder": (["--controller", "empty"], "no checkpoint"),
    "pickled code": (["--controller", "evil.pt"], "evil.pt"),
    "no MJCF": (["--set", "model=track.csv"], "track.csv"),
    "car without joints": (["--set", "model=box.xml"], "0 wheel joints instead of 4"),
}


@pytest.mark.parametrize("case", INPUT_ERRORS)
def test_bad_input_is_explained(case: str, diffcar: Callable[..., Result], tmp_path: Path) -> None:
    """Wrong names, damaged files and hostile checkpoints end with an error, a hint and code 2."""
    arguments, expected = INPUT_ERRORS[case]
    (tmp_path / "track.csv").write_text("x,y\n0,0\n1,0\n2,0\n3,0\n")
    (tmp_path / "damaged.pt").write_bytes(b"PK\x03\x04 not much of an archive")
    (tmp_path / "empty").mkdir()
    (tmp_path / "text.pt").write_text("hello")
    (tmp_path / "my_bend.py").write_text("def hairpin(seed): ...")
    torch.save({"format": 1, "config": Path("x")}, tmp_path / "evil.pt")
    (tmp_path / "box.xml").write_text(BOX)
    done = diffcar("simulate", *arguments)
    assert done.exit_code == 2, done.stderr
    assert "error:" in done.stderr
    assert "hint:" in done.stderr
    assert expected in done.stderr


BOX = "<mujoco><worldbody><body><freejoint/><geom size='1'/></body></worldbody></mujoco>"
BAD_MODELS = {
    "missing": ("nowhere.urdf", "'nowhere.urdf' does not exist"),
    "a folder": (".", "'.' is not a file"),
    "empty": ("empty.urdf", "cannot be read as a car"),
    "a car without wheels": ("box.xml", "0 wheel joints"),
}


@pytest.mark.parametrize("case", BAD_MODELS)
def test_bad_model_is_explained(case: str, diffcar: Callable[..., Result], tmp_path: Path) -> None:
    """Before Genesis is started: what is wrong, in a line."""
    model, expected = BAD_MODELS[case]
    (tmp_path / "empty.urdf").write_text("")
    (tmp_path / "box.xml").write_text(BOX)
    done = diffcar("check-grad", "--model", model)
    assert done.exit_code == 2, done.stderr
    assert "error:" in done.stderr
    assert expected in done.stderr


def test_demonstrations_that_are_missing_are_named(
    diffcar: Callable[..., Result], tmp_path: Path
) -> None:
    """Before a simulator starts, and nothing is left behind."""
    done = diffcar("train-bc", "--data", "nowhere.csv")
    assert done.exit_code == 2, done.stderr
    assert "'nowhere.csv' cannot be read" in done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--actuation", "pd"], "has none"),
        (["--set", "train.truncation_length=4"], "unknown key"),
        (["--path", "circel"], "did you mean 'circle'?"),
        (["--drive", "rear"], "--drive is about cars"),
        (["--resume", "a", "--out", "b"], "drop --out"),
        (["--resume", "nowhere"], "no checkpoints/last.pt"),
        (["--path", "circle", "--path-scale", "0.1"], "the grid has room for"),
        (["--path", "circle", "--path-scale", "0.1"], "raise half_width"),
    ],
)
def test_what_does_not_apply_to_a_soft_body_is_refused(
    arguments: list[str], expected: str, diffcar: Callable[..., Result]
) -> None:
    """Options of the car, unknown keys, paths that leave the grid: the reason, before all else."""
    done = diffcar("train-e2e", "--entity", "mpm", *arguments)
    assert done.exit_code == 2
    assert expected in " ".join(done.stderr.replace("│", "").split())
