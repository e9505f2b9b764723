"""What tests of training share."""

import pytest


@pytest.fixture
def _unpainted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave the pictures out, which take longer than such small trainings."""
    for where in ("diffcar.training.run.plot_training", "diffcar.tasks.tracking.task.plot_drive"):
        monkeypatch.setattr(where, lambda *args: None)
