"""Where progress is told: INFO for something long that begins, WARNING for what to know."""

import logging

__all__ = ["logger"]

logger = logging.getLogger("diffcar")
