"""The library as its users meet it: public names, and the examples, which do what they say."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

import diffcar
from diffcar.export.contract import contract_of
from diffcar.export.driver import Driver
from diffcar.export.formats import write
from diffcar.sim.config import CarConfig
from tests.bicycle import bicycle_scenes, bicycles

ROOT = Path(__file__).parents[1]


def test_public_names_exist_and_say_what_they_are() -> None:
    """Each has a docstring of its own and is listed."""
    assert set(diffcar.__all__) <= set(dir(diffcar))
    for name in diffcar.__all__:
        assert len(getattr(diffcar, name).__doc__ or "") > 20, name


def test_a_name_that_there_is_not_is_told_with_those_there_are() -> None:
    """As an attribute error, which `hasattr` and completion rely on."""
    with pytest.raises(AttributeError, match=r"has no .simulate.; it has .*rollout"):
        diffcar.simulate  # noqa: B018


def test_importing_the_library_loads_nothing_heavy() -> None:
    """So that `--help` answers at once."""
    code = (
        "import sys, diffcar; "
        "print({'torch', 'genesis', 'mujoco', 'matplotlib', 'pandas', 'scipy'} & set(sys.modules))"
    )
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


@pytest.mark.parametrize("readme", ["README.md", "README.ko.md"])
def test_the_readme_shows_the_example_as_it_is(readme: str) -> None:
    """Code that users copy is code that is run."""
    assert (ROOT / "examples" / "own_loop.py").read_text().partition('"""\n\n')[2] in (
        (ROOT / readme).read_text()
    )


def build(config: CarConfig | None = None, **how: Any) -> Any:
    """Build bicycles where a user would build cars."""
    return bicycles(config or CarConfig(), **{"num_envs": 1, **how})


def run_example(name: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Run an example in an empty folder, on bicycles and in few updates; return its variables."""
    monkeypatch.chdir(folder)
    monkeypatch.setattr(diffcar, "build_scene", build, raising=False)
    source = (ROOT / "examples" / f"{name}.py").read_text()
    shorter = source.replace("range(100)", "range(3)")
    variables: dict[str, Any] = {"__name__": "__main__"}
    exec(compile(shorter, name, "exec"), variables)
    return variables


def test_a_loop_of_ones_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It trains, and says how it drives another path."""
    told = run_example("own_loop", tmp_path, monkeypatch)
    assert told["cost"].isfinite()
    shown = capsys.readouterr().out
    assert re.fullmatch(r"cross-track RMSE \S+ mm, speed RMSE \S+ m/s\n", shown)


def test_a_term_of_ones_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is one of the terms and weighs in the whole."""
    costs = run_example("own_term", tmp_path, monkeypatch)["costs"]
    assert "'lateral':" in capsys.readouterr().out
    assert costs["lateral"].isfinite().all()


@pytest.mark.usefixtures("_unpainted")
def test_training_by_a_method(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The run is left behind, and its controller is had from it."""
    settings = diffcar.load_config

    def shorter(command: str, *, overrides: list[str]) -> CarConfig:
        few = ["train.num_updates=2", "train.num_envs=4", "evaluation.num_envs=2"]
        brief = ["evaluation.duration=0.4", "evaluation.unseen_paths=[]"]
        return settings(command, overrides=[*overrides, *few, *brief])

    monkeypatch.setattr(diffcar, "load_config", shorter, raising=False)
    whole = diffcar.train

    def on_bicycles(method: str, config: CarConfig, **how: Any) -> Any:
        return whole(method, config, scenes=bicycle_scenes(config), certify=False, **how)

    monkeypatch.setattr(diffcar, "train", on_bicycles, raising=False)
    done = run_example("train", tmp_path, monkeypatch)
    assert done["result"].num_updates == 2
    assert (tmp_path / "figure-eight-run" / "checkpoints" / "best.pt").is_file()
    assert done["driver"].network is not None


def test_a_driver_without_diffcar(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What was exported drives a car along the path, by numpy and ONNX Runtime alone."""
    for module in ("onnx", "onnxruntime"):
        pytest.importorskip(module)
    controller = diffcar.make_controller("shipped", build())
    path = diffcar.load_path("figure-eight")
    contract = contract_of(controller, path, dt=0.02, precision=32, origin="shipped")
    (tmp_path / "exported").mkdir()
    exported = Driver(controller, path, 0.02, torch.float32)
    write("onnx", exported, contract, tmp_path / "exported")
    told = run_example("drive_onnx", tmp_path, monkeypatch)
    assert not {"torch", "diffcar"} & set(told)
    assert capsys.readouterr().out.startswith("after 8 s at ")
    assert 15 < told["way"] < 24
    here = path.nearest(torch.tensor([[told["x"], told["y"]]], dtype=torch.float64))
    assert abs(float(here.cross_track)) < 0.02


def test_a_gradient_of_ones_own_is_proved_or_caught(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Right as it is, and wrong where a part is cut off."""
    run_example("certify", tmp_path, monkeypatch)
    as_it_is, cut_off = capsys.readouterr().out.splitlines()
    assert as_it_is.startswith("as it is: right (")
    assert cut_off.startswith("gravity cut off: wrong (")
