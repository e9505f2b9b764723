"""From a task to weights."""
