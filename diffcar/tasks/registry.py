"""The tasks that come with diffcar."""

from typing import TYPE_CHECKING, Any

from diffcar.base.registry import Registry

if TYPE_CHECKING:
    from diffcar.tasks.contract import Task

__all__ = ["TASKS"]

TASKS: "Registry[type[Task[Any, Any]]]" = Registry(
    "task",
    {
        "tracking": "diffcar.tasks.tracking.task:TrackingTask",
        "reaching": "diffcar.tasks.reaching.task:ReachingTask",
        "pushing": "diffcar.tasks.pushing.task:PushingTask",
    },
)
"""Classes by name, made with the settings of a run."""
