"""Writes a driver in each format, and calls what was written."""

import ctypes
import io
import os
import shutil
import subprocess
import tempfile
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from diffcar.base.errors import SimulationError
from diffcar.base.files import json_text, write_atomically
from diffcar.export.c_source import c_sources
from diffcar.export.config import CONTRACT, FORMATS, FormatName
from diffcar.export.driver import Driver

__all__ = ["Call", "compiler", "load", "write"]

Call = Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]
"""From state and memory to action and memory, as the contract has them."""

_FLAGS = ("-std=c99", "-Wall", "-Wextra", "-pedantic", "-O2", "-shared", "-fPIC")
# Keeps to ourselves what torch says about its exporters: that others will follow some day.
_quiet = partial(warnings.catch_warnings, action="ignore")


def write(name: FormatName, driver: Driver, contract: dict[str, Any], folder: Path) -> None:
    """Write a driver in a format, with its contract inside.

    Raises:
        OutputError: If the file system refuses.
    """
    contents = _WRITERS[name](driver, contract)
    for file, content in zip(FORMATS[name].files, contents, strict=True):
        write_atomically(folder / file, partial(Path.write_bytes, data=content))


def _examples(driver: Driver) -> tuple[torch.Tensor, torch.Tensor]:
    """Return inputs that a graph is recorded with, once the driver has been called with them.

    Constants are made then, and not while it is recorded.
    """
    dtype = driver.road.knots.dtype
    inputs = torch.zeros(7, dtype=dtype), torch.zeros(driver.memory_size, dtype=dtype)
    driver(*inputs)
    return inputs


def _torchscript(driver: Driver, contract: dict[str, Any]) -> list[bytes]:
    """Return what `torch.jit.load` reads, in Python and C++."""
    stream = io.BytesIO()
    with _quiet():
        traced = torch.jit.freeze(torch.jit.trace(driver.eval(), _examples(driver)))
        extra = {CONTRACT: json_text(contract)}
        torch.jit.save(traced, stream, _extra_files=extra)
    return [stream.getvalue()]


def _onnx(driver: Driver, contract: dict[str, Any]) -> list[bytes]:
    """Return a model of ONNX, the contract among its metadata."""
    import onnx

    stream, examples = io.BytesIO(), _examples(driver)
    with _quiet():
        torch.onnx.export(
            driver,
            examples,
            stream,  # type: ignore[arg-type]
            dynamo=False,
            opset_version=18,
            input_names=["state", "memory"],
            output_names=["action", "next_memory"],
        )
    model = onnx.load_from_string(stream.getvalue())
    model.producer_name = "diffcar"
    model.metadata_props.add(key="contract", value=json_text(contract))
    onnx.checker.check_model(model, full_check=True)
    return [model.SerializeToString()]


_WRITERS: dict[FormatName, Callable[[Driver, dict[str, Any]], list[bytes]]] = {
    "onnx": _onnx,
    "torchscript": _torchscript,
    "c": lambda driver, contract: [text.encode() for text in c_sources(driver, contract)],
}


def load(name: FormatName, folder: Path) -> Call | None:
    """Return what was written as a function; None of C where no compiler makes what runs."""
    return _LOADERS[name](folder)


def _load_torchscript(folder: Path) -> Call:
    """Call by torch."""
    with _quiet():
        module = torch.jit.load(str(folder / FORMATS["torchscript"].files[0]))

    def call(state: np.ndarray, memory: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        with torch.no_grad():
            action, following = module(torch.from_numpy(state), torch.from_numpy(memory))
        return action.numpy(), following.numpy()

    return call


def _load_onnx(folder: Path) -> Call:
    """Call by ONNX Runtime, on one core as on a robot."""
    import onnxruntime

    how = onnxruntime.SessionOptions()
    how.intra_op_num_threads = 1
    file = str(folder / FORMATS["onnx"].files[0])
    session = onnxruntime.InferenceSession(file, how, providers=["CPUExecutionProvider"])
    return lambda state, memory: session.run(None, {"state": state, "memory": memory})


def compiler() -> str | None:
    """Return the C compiler of this machine, if it has one."""
    return next(filter(None, map(shutil.which, [os.environ.get("CC") or "cc", "cc", "gcc"])), None)


def _load_c(folder: Path) -> Call | None:
    """Compile for this machine and call by ctypes."""
    if (found := compiler()) is None:
        return None
    source = folder / FORMATS["c"].files[1]
    with tempfile.TemporaryDirectory() as place:
        library = Path(place) / "controller.so"
        command = [found, *_FLAGS, str(source), "-o", str(library), "-lm"]
        try:
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                told = done.stderr.strip().partition("\n")[0]
                raise SimulationError(f"{found} does not compile {str(source)!r}: {told}")
            step = ctypes.CDLL(str(library)).diffcar_step
        except OSError:  # it is none, or one for another machine
            return None
    buffers: list[np.ndarray] = []
    pointers: list[ctypes.c_void_p] = []

    def call(state: np.ndarray, memory: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        if not buffers:  # always the same ones: to ask where one is takes as long as to call
            buffers.extend((state.copy(), memory.copy(), np.empty(2, state.dtype)))
            pointers.extend(ctypes.c_void_p(own.ctypes.data) for own in buffers)
        given, following, action = buffers
        given[:], following[:] = state, memory
        if step(*pointers):
            raise SimulationError("the exported C refuses a state that is not finite")
        return action.copy(), following.copy()

    return call


_LOADERS: dict[FormatName, Callable[[Path], Call | None]] = {
    "onnx": _load_onnx,
    "torchscript": _load_torchscript,
    "c": _load_c,
}
