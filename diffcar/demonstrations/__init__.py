"""Demonstrations for cloning: recorded, written, read, and turned into tensors."""

from diffcar.demonstrations.files import read_demonstrations, write_demonstrations
from diffcar.demonstrations.recording import Recording, record_demonstrations
from diffcar.demonstrations.table import (
    ACTION_COLUMNS,
    STATE_COLUMNS,
    Demonstrations,
    DemonstrationTable,
    observation_columns,
    to_demonstrations,
)

__all__ = [
    "ACTION_COLUMNS",
    "STATE_COLUMNS",
    "DemonstrationTable",
    "Demonstrations",
    "Recording",
    "observation_columns",
    "read_demonstrations",
    "record_demonstrations",
    "to_demonstrations",
    "write_demonstrations",
]
