"""Files: written as a whole or not at all, and refused before anything is computed."""

import os
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


IMPOSSIBLE = [
    "loop",
    "loop/x",
    "dangling",
    "x" * 256,
    "/dev/null/x",
    "/proc/x",
    "d/" * 3000 + "x",
    "\udcff",
]


@pytest.mark.parametrize("name", IMPOSSIBLE)
def test_names_that_cannot_be_written_are_refused_and_nothing_is_made(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Links that end nowhere, long names, places below a device: as a file and as a folder."""
    monkeypatch.chdir(tmp_path)
    os.symlink("loop", "loop")
    os.symlink("nowhere", "dangling")
    before = tmp_path.stat().st_mtime_ns
    with pytest.raises(OutputError):
        check_outputs([Path(name)])
    with pytest.raises(OutputError):
        check_outputs([], folder=Path(name))
    check_outputs([Path("a.json")], folder=Path("b/c"))
    assert sorted(os.listdir()) == ["dangling", "loop"]
    assert tmp_path.stat().st_mtime_ns == before


def test_a_result_in_the_folder_that_is_made_is_refused(tmp_path: Path) -> None:
    """By its own name, or through a link."""
    (tmp_path / "run").mkdir()
    (tmp_path / "link").symlink_to("run")
    for file in (tmp_path / "new", tmp_path / "run" / "config.yaml", tmp_path / "link" / "x"):
        with pytest.raises(OutputError, match="which this command makes"):
            check_outputs([file], folder=tmp_path / ("new" if file.name == "new" else "run"))


@pytest.mark.parametrize("name", ["x" * 255, "x" * 250 + ".json", "a." + "s" * 253])
def test_the_longest_names_can_be_written(name: str, tmp_path: Path) -> None:
    """The temporary file beside them has a shorter one."""
    file = tmp_path / name
    check_outputs([file])
    write_atomically(file, lambda target: target.write_text("all"))
    assert file.read_text() == "all"
