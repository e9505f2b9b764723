"""Proofs of gradients: finite differences on any callable, and where a graph ends."""

from diffcar.gradcheck.directional import DirectionalCheck
from diffcar.gradcheck.finite_differences import (
    check_directions,
    check_environments,
    random_directions,
    taylor_rate,
)
from diffcar.gradcheck.hops import Hop, trace_hops

__all__ = [
    "DirectionalCheck",
    "Hop",
    "check_directions",
    "check_environments",
    "random_directions",
    "taylor_rate",
    "trace_hops",
]
