"""Loads the kernels of the backward pass from the cache, without reading their source again.

Genesis's compiler, quadrants, keeps compiled kernels on disk. A kernel that says so is found there
by a hash of its source, which spares its translation from Python in every new process. An adjoint
is not, since it does not know the function that says so: its primal does. The fast path tells it,
and puts the direction into the key, which otherwise would be that of the primal.
"""

import functools
import sys
from typing import Any

from diffcar.sim.upstream import are_unchanged

__all__ = ["cache_adjoints"]

_KERNEL = "quadrants.lang.kernel"
_HASHER = "quadrants.lang._fast_caching.src_hasher"
_KNOWN = {
    f"{_KERNEL}:Kernel._try_load_fastcache": "1645c069144b31d9",
    f"{_KERNEL}:Kernel._maybe_persist_l1_and_set_l2_key": "a13c088c8356b94e",
    f"{_HASHER}:make_source_config_key": "fd68fe3b0d98a3e0",
    "quadrants.lang.kernel_impl:_kernel_impl": "8750e313a5b2630f",
}


def cache_adjoints() -> None:
    """Let adjoints use the cache from now on, if quadrants is imported and they do not yet.

    It works for kernels of the top level of a module, which those of rigid bodies are.
    """
    module: Any = sys.modules.get(_KERNEL)
    hasher: Any = sys.modules.get(_HASHER)
    if module is None or hasher is None or hasattr(hasher.make_source_config_key, "__wrapped__"):
        return
    if not are_unchanged(_KNOWN, "cached adjoints", of="quadrants"):
        return
    load, make_key = module.Kernel._try_load_fastcache, hasher.make_source_config_key
    reverse = module.AutodiffMode.REVERSE
    direction = ""

    @functools.wraps(make_key)
    def make_key_of_direction(source: Any) -> str:  # noqa: ANN401
        key = make_key(source)
        return hasher.hash_iterable_strings((key, direction)) if direction else key

    @functools.wraps(load)
    def load_with_direction(kernel: Any, *args: Any) -> Any:  # noqa: ANN401
        nonlocal direction
        if kernel.autodiff_mode == reverse:
            direction = "reverse"
            kernel.quadrants_callable = kernel.quadrants_callable or _function_of(kernel)
        try:
            return load(kernel, *args)
        finally:
            direction = ""

    module.Kernel._try_load_fastcache = load_with_direction
    hasher.make_source_config_key = make_key_of_direction


def _function_of(adjoint: Any) -> Any:  # noqa: ANN401
    """Return the decorated function whose adjoint a kernel is, or None."""
    function = adjoint.func
    found = getattr(sys.modules.get(function.__module__), function.__name__, None)
    return found if getattr(found, "_adjoint", None) is adjoint else None
