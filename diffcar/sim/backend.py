"""Starts Genesis once in a process, quietly, and remembers how."""

import contextlib
import os
import sys
import tempfile
import warnings
from collections.abc import Iterator
from types import ModuleType

import torch

from diffcar.base.errors import ConfigError, SimulationError
from diffcar.sim.config import EngineConfig
from diffcar.sim.fast_paths.adjoint_cache import cache_adjoints
from diffcar.sim.fast_paths.compiled_fields import cache_fields, fill_fields_through_views
from diffcar.sim.startup import import_genesis, with_known_cpu

__all__ = ["initialise", "on_gpu", "translated_errors"]

_started_with: tuple[str, int, bool] | None = None


def on_gpu(config: EngineConfig) -> bool:
    """Tell whether scenes are to be simulated on a GPU."""
    return config.backend == "gpu" or (config.backend == "auto" and torch.cuda.is_available())


def initialise(config: EngineConfig) -> ModuleType:
    """Initialise Genesis and return the module, or check that it is initialised in the same way.

    Raises:
        ConfigError: If the process runs Genesis already with other settings, or there is no GPU.
    """
    global _started_with
    backend = "gpu" if on_gpu(config) else "cpu"
    if backend == "gpu" and not torch.cuda.is_available():
        raise ConfigError("--backend gpu: torch finds no GPU", hint="use --backend cpu")
    # Genesis keeps its kernels below it, and aborts the process where there is none.
    home = os.path.expanduser("~")
    os.environ.setdefault("HOME", home if os.path.isabs(home) else tempfile.gettempdir())
    hook = sys.excepthook
    gs = import_genesis()
    # Genesis's own prints tracebacks to stdout, which belongs to results.
    sys.excepthook = hook
    cache_adjoints()
    if config.compiled_fields:
        cache_fields()
        fill_fields_through_views()
    settings = (backend, config.precision, config.compiled_fields)
    if _started_with is None:
        # Says of Genesis's own kernels what its users can do nothing about.
        warnings.filterwarnings("ignore", message="cannot create weak reference to")
        # The matrices of a policy are small: more threads would only contend with the simulator.
        torch.set_num_threads(1)
        # Its log goes where stdout is now.
        with contextlib.redirect_stdout(sys.stderr), with_known_cpu():
            gs.init(
                backend=gs.cpu if backend == "cpu" else gs.gpu,
                precision=str(config.precision),
                logging_level="info" if config.verbose else "error",
                performance_mode=config.compiled_fields,
            )
        _started_with = settings
    elif _started_with != settings:
        raise ConfigError(
            f"Genesis runs in this process with {_started_with} (backend, precision, compiled "
            f"fields) and cannot be restarted with {settings}",
            hint="use one process for each",
        )
    return gs


@contextlib.contextmanager
def translated_errors() -> Iterator[None]:
    """Raise Genesis's own exceptions as `SimulationError`, without its log line."""
    import genesis as gs

    try:
        yield
    except gs.GenesisException as error:
        raise SimulationError(f"Genesis: {error}") from error
