"""Train and prove path-tracking controllers through differentiable rigid-body physics."""

__all__ = ["__version__"]

__version__ = "0.1.0"
