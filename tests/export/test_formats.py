"""What is written commands what the network commands, in every format and precision."""

import json
import re
import subprocess
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from diffcar.base.files import json_text
from diffcar.export.config import FORMATS, FormatName
from diffcar.export.contract import INPUTS, OUTPUTS, contract_of
from diffcar.export.driver import Driver, measured
from diffcar.export.formats import compiler, load, write
from tests.export.exported import (
    DT,
    DTYPES,
    FULL_SCALE,
    NETWORKS,
    TOLERANCE,
    commands,
    situations,
)
from tests.samples import car_at, road

KINDS = {32: np.float32, 64: np.float64}
STRICT = ["-std=c99", "-Wall", "-Wextra", "-Werror", "-pedantic", "-Wdouble-promotion", "-c"]
needs_compiler = pytest.mark.skipif(compiler() is None, reason="there is no C compiler")


def export(
    name: FormatName, folder: Path, network: str, source: str, precision: int
) -> dict[str, Any]:
    """Write a format and return its contract."""
    if name == "onnx":
        for module in FORMATS["onnx"].modules:
            pytest.importorskip(module)
    controller, path = NETWORKS[network](), road(source)
    contract = contract_of(
        controller, path, dt=DT, precision=precision, origin="a/*strange*/run??/"
    )
    write(name, Driver(controller, path, DT, DTYPES[precision]), contract, folder)
    return contract


@pytest.mark.parametrize("precision", [32, 64])
@pytest.mark.parametrize(
    ("network", "source"), [("trained", "figure-eight"), ("remembering", "slalom")]
)
@pytest.mark.parametrize("name", ["onnx", "torchscript", pytest.param("c", marks=needs_compiler)])
def test_every_format_commands_what_the_network_commands(
    name: FormatName, network: str, source: str, precision: int, tmp_path: Path
) -> None:
    """All over the path and beside it, with a memory and without one."""
    export(name, tmp_path, network, source, precision)
    call, path, controller = load(name, tmp_path), road(source), NETWORKS[network]()
    rows, before = situations(path, 20, precision, controller.past_commands)
    expected = commands(controller, path, rows, before)
    plain = Driver(controller, path, DT, DTYPES[precision])
    inputs = zip(rows.to(DTYPES[precision]), before.to(DTYPES[precision]), strict=True)
    for (row, memory), command in zip(inputs, expected, strict=True):
        found, following = call(row.numpy(), memory.numpy())
        share = torch.from_numpy(found) / FULL_SCALE - command
        assert float(share.abs().max()) < TOLERANCE[precision]
        assert following == pytest.approx(plain(row, memory)[1].numpy(), abs=1e-4)
    first = path.sample(torch.tensor(1.0, dtype=torch.float64))
    row = np.array([*first.position.tolist(), float(first.heading), 1, 0, 0, 0], KINDS[precision])
    nothing = np.full(plain.memory_size, np.nan, KINDS[precision])
    found, following = call(row, nothing)
    assert following[0] == pytest.approx(1.0, abs=1e-5)
    expected = commands(controller, path, torch.from_numpy(row[None]).double())[0] * FULL_SCALE
    assert found == pytest.approx(expected.numpy(), abs=TOLERANCE[precision])


def test_the_contract_is_in_every_format(tmp_path: Path) -> None:
    """As JSON that any reader of such files finds; in C as a comment, with constants."""
    contract = export("torchscript", tmp_path, "trained", "circle", 32)
    inside = {"contract.json": ""}
    with warnings.catch_warnings(action="ignore"):  # that torch will load other files some day
        torch.jit.load(str(tmp_path / "controller.pt"), _extra_files=inside)
    assert json.loads(inside["contract.json"]) == json.loads(json_text(contract))
    export("c", tmp_path, "trained", "circle", 32)
    header = (tmp_path / "diffcar_controller.h").read_text()
    assert header.count("*/") == header.count("/*")
    steering = contract["limits"]["steering_angle_rad"][1]
    assert f"#define DIFFCAR_MAX_STEERING_ANGLE {np.float32(steering):.9g}f" in header
    members = re.findall(r"diffcar_real (\w+);", header)
    assert members == [*INPUTS, *OUTPUTS]
    onnxruntime = pytest.importorskip("onnxruntime")
    export("onnx", tmp_path, "trained", "circle", 32)
    session = onnxruntime.InferenceSession(str(tmp_path / "controller.onnx"))
    assert [own.name for own in session.get_inputs()] == ["state", "memory"]
    assert [own.name for own in session.get_outputs()] == ["action", "next_memory"]
    found = json.loads(session.get_modelmeta().custom_metadata_map["contract"])
    assert found == json.loads(json_text(contract))


def test_what_is_measured_is_in_the_order_of_the_contract() -> None:
    """Each entry from the part of the state that it is named after."""
    car = car_at(1.0, 2.0, 3.0, speed=4.0)
    row = measured(car)[0].tolist()
    assert dict(zip(INPUTS, row, strict=True)) == {
        **{"x": 1.0, "y": 2.0, "yaw": 3.0, "speed": 4.0},
        **{"lateral_velocity": 0.0, "yaw_rate": 0.0, "steering_angle": 0.0},
    }


@pytest.mark.parametrize("command", ["true", "./car.txt"])
def test_what_compiles_for_no_machine_here_is_not_run(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A compiler whose output does not load, and one that does not start."""
    export("c", tmp_path, "trained", "circle", 32)
    (tmp_path / "car.txt").write_bytes(b"\x7fELF for another machine")
    (tmp_path / "car.txt").chmod(0o755)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CC", command)
    assert load("c", tmp_path) is None


@needs_compiler
@pytest.mark.parametrize(
    ("network", "source", "precision"),
    [("trained", "circle", 32), ("remembering", "slalom", 32), ("remembering", "slalom", 64)],
)
def test_the_c_source_is_clean(network: str, source: str, precision: int, tmp_path: Path) -> None:
    """Of warnings in C99 by the letter, of allocation, of all headers but math.h, of doubles."""
    export("c", tmp_path, network, source, precision)
    file = tmp_path / "diffcar_controller.c"
    command = [str(compiler()), *STRICT, str(file), "-o", str(tmp_path / "controller.o")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    text = file.read_text()
    assert re.findall(r"#include (\S+)", text) == ['"diffcar_controller.h"', "<math.h>"]
    assert not re.search(r"alloc|free\(", text)
    assert ("double" in text) is False


@needs_compiler
def test_the_c_refuses_a_state_that_is_not_finite(tmp_path: Path) -> None:
    """It then changes nothing, and goes on with the next, however absurd that is."""
    export("c", tmp_path, "trained", "circle", 64)
    main = """
        #include "diffcar_controller.h"
        #include <math.h>
        int main(void)
        {
            diffcar_state state = {0, 0, NAN, 1, 0, 0, 0};
            diffcar_command command = {7, 7};
            diffcar_real memory[DIFFCAR_MEMORY] = {DIFFCAR_UNKNOWN};
            if (diffcar_step(&state, memory, &command) != -1) return 1;
            if (memory[0] != DIFFCAR_UNKNOWN || command.speed != 7) return 2;
            state.yaw = 1;
            if (diffcar_step(&state, memory, &command) != 0) return 3;
            state.speed = 1e300;
            state.x = -1e300;
            return diffcar_step(&state, memory, &command);
        }
        """
    (tmp_path / "main.c").write_text(main)
    program = tmp_path / "main"
    sources = [str(tmp_path / name) for name in ("main.c", "diffcar_controller.c")]
    subprocess.run([str(compiler()), "-std=c99", *sources, "-o", str(program), "-lm"], check=True)
    assert subprocess.run([str(program)], check=False).returncode == 0
