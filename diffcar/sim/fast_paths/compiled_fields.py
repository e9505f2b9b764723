"""Lets kernels with compiled fields start from the cache, and fills fields without a kernel each.

In Genesis's performance mode arrays are fields of its compiler, quadrants, whose sizes and places
in memory are compiled into the kernels. The cache that spares kernels their translation from Python
refuses fields (see `adjoint_cache`), so each is translated anew in every process, and every field
that is filled from Python costs a kernel of its own. Here a field's place, shape and type become
part of the key. A kernel can also have the sizes of fields compiled in that it does not read, which
the cache's list of what it reads leaves out; so all fields that there are belong to the key, too.
Thus scenes of another number of cars, or of options that shape them otherwise, share no kernel.
"""

import functools
import numbers
import sys
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from torch import Tensor

from diffcar.sim.upstream import are_unchanged

__all__ = ["cache_fields", "fill_fields_through_views"]

_ARGUMENTS = "quadrants.lang._fast_caching.args_hasher"
_CONFIG = "quadrants.lang._fast_caching.config_hasher"
_HASHER = "quadrants.lang._fast_caching.src_hasher"
_KNOWN_KEYS = {
    f"{_ARGUMENTS}:stringify_obj_type": "6615c71f709af526",
    f"{_CONFIG}:hash_compile_config": "058cb3b3a1f51fba",
    f"{_HASHER}:make_source_config_key": "fd68fe3b0d98a3e0",
    "quadrants.lang.kernel:Kernel._try_load_fastcache": "1645c069144b31d9",
}
_KNOWN_FILLS = {
    f"quadrants.lang.{kind}.{method}": fingerprint
    for kind, method, fingerprint in (
        ("field:ScalarField", "fill", "53a5b52334a2c901"),
        ("field:ScalarField", "_from_external_arr", "8cad949af8b0429e"),
        ("matrix:MatrixField", "fill", "bbcb877935414fd4"),
        ("matrix:MatrixField", "_from_external_arr", "742b8e77a36c2cf2"),
    )
}


def cache_fields() -> None:
    """Let kernels with fields use the cache from now on, if they do not yet."""
    arguments: Any = sys.modules.get(_ARGUMENTS)
    config: Any = sys.modules.get(_CONFIG)
    if arguments is None or config is None or hasattr(config.hash_compile_config, "__wrapped__"):
        return
    if not are_unchanged(_KNOWN_KEYS, "cached kernels of compiled fields", of="quadrants"):
        return
    describe, hash_config = arguments.stringify_obj_type, config.hash_compile_config
    seen: dict[tuple[int, int], str] = {}

    @functools.wraps(describe)
    def describe_fields_too(*given: Any, **named: Any) -> Any:  # noqa: ANN401
        thing = given[2]
        field = thing._unwrap() if type(thing) in arguments._TENSOR_WRAPPER_TYPES else thing
        if isinstance(field, arguments._FIELD_TYPES):
            return f"[field-{_described(field)}-gradient-{field.grad and _described(field.grad)}]"
        return describe(*given, **named)

    @functools.wraps(hash_config)
    def hash_config_and_layout() -> str:
        layout = _layout(config.impl.get_runtime().prog, seen)
        return config.hash_iterable_strings((hash_config(), *layout))

    arguments.stringify_obj_type = describe_fields_too
    config.hash_compile_config = hash_config_and_layout


def fill_fields_through_views() -> None:
    """Write into fields of the CPU through views from now on, if it is not done yet.

    Where there is no view of a field (of one number), it costs its kernel.
    """
    field: Any = sys.modules.get("quadrants.lang.field")
    matrix: Any = sys.modules.get("quadrants.lang.matrix")
    if field is None or matrix is None or hasattr(field.ScalarField.fill, "__wrapped__"):
        return
    if not are_unchanged(_KNOWN_FILLS, "filling fields", of="quadrants"):
        return
    for kind in (field.ScalarField, matrix.MatrixField):
        kind.fill = _filling(kind.fill, field.in_python_scope)
        kind._from_external_arr = _loading(kind._from_external_arr)


def _described(field: Any) -> str:  # noqa: ANN401
    """Return what of a field is compiled into kernels that use it."""
    nodes = [member.ptr.snode() for member in field.vars]
    if None in nodes:
        return "nowhere"
    places = [(n.get_snode_tree_id(), n.id, n.offset_bytes_in_parent_cell) for n in nodes]
    form = (getattr(field, "n", 0), getattr(field, "m", 0), field.shape, field.layout)
    return f"{type(field).__name__}-{field.dtype}-{form}-{places}"


def _layout(program: Any, seen: dict[tuple[int, int], str]) -> Iterator[str]:  # noqa: ANN401
    """Return by tree of fields what tells a program's from another's; trees seen do not change."""
    for index in range(program.get_snode_tree_size()):
        root = program.get_snode_root(index)
        tree = (root.id, root.cell_size_bytes)
        if tree not in seen:
            seen[tree] = " ".join(_shapes(root))
        yield seen[tree]


def _shapes(node: Any) -> Iterator[str]:  # noqa: ANN401
    """Return number, places and shapes of what is below a node, single numbers apart."""
    for child in map(node.get_ch, range(node.get_num_ch())):
        if not child.is_place():
            shape = [child.get_shape_along_axis(i) for i in range(child.num_active_indices())]
            yield f"{child.offset_bytes_in_parent_cell}-{child.cell_size_bytes}-{shape}"
            yield from _shapes(child)


def _filling(fill: Callable[..., None], is_outside: Callable[[], bool]) -> Callable[..., None]:
    """Return a field's `fill` through a view, where it is called outside of a kernel."""

    @functools.wraps(fill)
    def fill_view(field: Any, value: Any) -> None:  # noqa: ANN401
        view = _view(field) if is_outside() and isinstance(value, numbers.Number) else None
        if view is None:
            fill(field, value)
        else:
            view.fill_(value)

    return fill_view


def _loading(load: Callable[..., None]) -> Callable[..., None]:
    """Return what loads an array into a field through a view."""

    @functools.wraps(load)
    def load_view(field: Any, array: Any) -> None:  # noqa: ANN401
        view = _view(field)
        if view is None or view.shape != tuple(array.shape):
            load(field, array)
        else:
            np.copyto(view.numpy(), array, casting="unsafe")

    return load_view


def _view(field: Any) -> Tensor | None:  # noqa: ANN401
    """Return a tensor that shares a field's memory, where there can be one, on the CPU."""
    try:
        view: Tensor = field.to_torch(copy=False)
    except ValueError:
        return None
    return view if view.device.type == "cpu" else None
