"""Files: written as a whole or not at all, and refused before anything is computed."""

from pathlib import Path

import pytest

from diffcar.base.errors import OutputError
from diffcar.base.files import check_outputs, write_atomically


def test_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    """Neither the old content is lost nor a temporary file left."""
    file = tmp_path / "result.json"
    file.write_text("old")

    def fail(target: Path) -> None:
        target.write_text("half")
        raise OSError(28, "No space left on device")

    with pytest.raises(OutputError, match="No space left"):
        write_atomically(file, fail)
    assert file.read_text() == "old"
    assert list(tmp_path.iterdir()) == [file]


def test_unwritable_outputs_are_refused_beforehand(tmp_path: Path) -> None:
    """A folder, a device, a missing folder, one name twice, and an input of the same command."""
    track = tmp_path / "track.csv"
    track.write_text("x,y\n")
    for bad in (tmp_path, Path("/dev/null")):
        with pytest.raises(OutputError, match="not an ordinary file"):
            check_outputs([bad])
    with pytest.raises(OutputError, match="does not exist"):
        check_outputs([tmp_path / "no" / "file.csv"])
    with pytest.raises(OutputError, match="would be overwritten"):
        check_outputs([track], inputs=[track])
    with pytest.raises(OutputError, match="would be overwritten"):
        check_outputs([tmp_path / "x.json"], inputs=[tmp_path])
    with pytest.raises(OutputError, match="for two results"):
        check_outputs([tmp_path / "x.json", tmp_path / "x.json"])
