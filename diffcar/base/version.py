"""The version, for what says by which release it was written."""

__all__ = ["VERSION"]

VERSION = "0.1.0"
