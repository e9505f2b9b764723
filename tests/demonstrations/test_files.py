"""What comes back from files of any tool, and what is wrong with bad ones."""

import csv
import math
from collections.abc import Callable
from pathlib import Path

import hypothesis
import pytest
import torch
from hypothesis import strategies

from diffcar.base.errors import DemonstrationError
from diffcar.controllers.observation import PathObserver
from diffcar.demonstrations import files
from diffcar.demonstrations.files import read_demonstrations, write_demonstrations
from diffcar.demonstrations.table import (
    ACTION_COLUMNS,
    STATE,
    Demonstrations,
    DemonstrationTable,
    to_demonstrations,
)
from diffcar.path.reference import ReferencePath
from tests.demonstrations.recorded import CONFIG, QUIET, record
from tests.samples import VEHICLE, road

# What its tests share is made in one worker alone.
pytestmark = pytest.mark.xdist_group("demonstrations")


def read(*names: Path, **arguments: object) -> Demonstrations:
    return read_demonstrations(names, controller_config=CONFIG, vehicle=VEHICLE, **arguments)


def foreign(table: DemonstrationTable, names: dict[str, str]) -> DemonstrationTable:
    return {given: table[name] for name, given in names.items()}


def without_slip(table: DemonstrationTable) -> DemonstrationTable:
    """Return the states and actions of cars that turn as their wheels point."""
    names = ("episode", "arc_length_m", *STATE, *ACTION_COLUMNS)
    kept = {name: table[name] for name in names}
    curvature = torch.tan(table["steering_angle_rad"]) / VEHICLE.wheelbase
    kept["yaw_rate_radps"] = table["speed_mps"] * curvature
    kept["lateral_velocity_mps"] = -VEHICLE.rear_axle_x * kept["yaw_rate_radps"]
    return kept


def rewrite(file: Path, change: Callable[[list[list[str]]], object], separator: str = ",") -> Path:
    with file.open(newline="") as stream:
        rows = list(csv.reader(stream))
    change(rows)
    file.write_text("\n".join(separator.join(row) for row in rows) + "\n")
    return file


@pytest.fixture(scope="module")
def second() -> DemonstrationTable:
    """A second of the expert's driving."""
    return record(road("figure-eight")).table


@pytest.fixture(scope="module")
def lap() -> DemonstrationTable:
    """A lap of a path that crosses itself, and a little more."""
    config = QUIET.model_copy(update={"duration": 10.0})
    return record(road("figure-eight"), config, dt=0.04).table


@pytest.fixture
def own_file(second: DemonstrationTable, tmp_path: Path) -> Path:
    file = tmp_path / "own.csv"
    write_demonstrations(second, file)
    return file


@hypothesis.settings(max_examples=40, deadline=None)
@hypothesis.given(data=strategies.data())
def test_table_survives_its_file(data: strategies.DataObject, tmp_path_factory: object) -> None:
    """Whatever plausible numbers of 32 bits are written are read back, bit for bit."""
    names = ["speed_mps", *[f"obs_{name}" for name in PathObserver.names(CONFIG)]]
    names += ["steering_command_rad", "speed_command_mps"]
    number = strategies.floats(-100, 100, width=32)
    num_rows = data.draw(strategies.integers(1, 4))
    columns = strategies.lists(number, min_size=num_rows, max_size=num_rows)
    table = {n: torch.tensor(data.draw(columns), dtype=torch.float64) for n in names}
    table["steering_command_rad"] = table["steering_command_rad"].clamp(-0.5, 0.5).float().double()
    file = tmp_path_factory.mktemp("table") / "t.csv"
    write_demonstrations(table, file)
    expected = to_demonstrations(table, controller_config=CONFIG, vehicle=VEHICLE)
    found = read(file)
    assert torch.equal(found.observation.float(), expected.observation.float())
    assert torch.allclose(found.output, expected.output, atol=1e-6)


@pytest.mark.parametrize("dropped", [("obs_",), ("obs_", "arc_length")])
def test_derived_observations_equal_recorded_ones(
    dropped: tuple[str, ...],
    lap: DemonstrationTable,
    figure_eight: ReferencePath,
    tmp_path: Path,
) -> None:
    """From the state and the path, over a lap that crosses itself, in rows of any order."""
    file = tmp_path / "lap.csv"
    write_demonstrations(lap, file)
    recorded = read(file)

    def keep_the_state(rows: list[list[str]]) -> None:
        keep = [i for i, name in enumerate(rows[0]) if not name.startswith(dropped)]
        rows[:] = [[row[i] for i in keep] for row in [rows[0], *rows[:0:-1]]]

    derived = read(rewrite(file, keep_the_state), path=figure_eight)
    assert len(derived) == 4 * 250
    assert torch.allclose(derived.observation.flip(0), recorded.observation, atol=1e-5)
    assert torch.allclose(derived.output.flip(0), recorded.output, atol=1e-6)
    assert derived.episode.flip(0).tolist() == recorded.episode.tolist()
    single = road("figure-eight").to(torch.float32)
    assert torch.allclose(read(file, path=single).observation, derived.observation, atol=1e-3)


FOREIGN = {
    "x_m": "X",
    "y_m": "Y",
    "yaw_rad": "heading",
    "speed_mps": "v",
    "steering_angle_rad": "wheel",
    "steering_command_rad": "delta",
    "speed_command_mps": "v_cmd",
}


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_columns_of_another_tool_are_understood(
    separator: str, second: DemonstrationTable, figure_eight: ReferencePath, tmp_path: Path
) -> None:
    """Other names, degrees, comments, no episodes, and motion that follows without slip."""
    table = {**second, "yaw_rad": torch.rad2deg(second["yaw_rad"])}
    file = tmp_path / "foreign.csv"
    write_demonstrations(foreign(table, FOREIGN), file)
    rewrite(file, lambda rows: None, separator)
    file.write_text("\ufeff# logged on a Tuesday\n\n" + file.read_text(), encoding="utf-8")
    columns = {**FOREIGN, "yaw_rad": f"heading*{math.pi / 180}"}
    found = read(file, path=figure_eight, columns=columns)
    expected = to_demonstrations(
        without_slip(second),
        controller_config=CONFIG,
        vehicle=VEHICLE,
        path=figure_eight,
    )
    assert torch.allclose(found.observation, expected.observation, atol=1e-4)
    assert torch.allclose(found.output, expected.output, atol=1e-6)
    assert found.episode.unique().tolist() == [0]
    assert [note.rpartition(", ")[2] for note in found.notes[:2]] == [
        "taken as if no wheel slipped"
    ] * 2
    assert "no column 't_s'" in found.notes[2]


IN_UNITS = {
    "x_m": ("X [m]", 1.0),
    "y_m": ("pos_y (cm)", 100.0),
    "yaw_rad": ("theta [deg]", 180 / math.pi),
    "speed_mps": ("v [km/h]", 3.6),
    "steering_angle_rad": ("steering_angle_deg", 180 / math.pi),
    "steering_command_rad": ("delta [°]", 180 / math.pi),
    "speed_command_mps": ("speed_command_kmh", 3.6),
}


def test_a_log_may_call_things_as_a_path_may(
    second: DemonstrationTable, figure_eight: ReferencePath, tmp_path: Path
) -> None:
    """One vocabulary: what `--path` reads as x, y and speed, `train-bc --data` reads, too."""
    own = {name: second[name] for name in (*STATE, *ACTION_COLUMNS)}
    names = {"x_m": "/odom/pose/pose/position/x", "y_m": "northing", "speed_mps": "gps_speed"}
    theirs = {names.get(name, name): column for name, column in own.items()}
    for file, table in ((tmp_path / "own.csv", own), (tmp_path / "theirs.csv", theirs)):
        write_demonstrations(table, file)
    expected, found = (
        read(tmp_path / f"{name}.csv", path=figure_eight) for name in ("own", "theirs")
    )
    assert torch.equal(found.observation, expected.observation)
    assert torch.equal(found.output, expected.output)


def test_units_of_headings_are_heeded(
    second: DemonstrationTable, figure_eight: ReferencePath, tmp_path: Path
) -> None:
    """In the text of a spreadsheet, an index before and a width behind; a note tells of each."""
    table = {theirs: second[name] * factor for name, (theirs, factor) in IN_UNITS.items()}
    rows = [["", *table, "width"]]
    for at, row in enumerate(torch.stack(list(table.values()), dim=-1).tolist()):
        rows.append([str(at), *(f"{value:.9g}".replace(".", ",") for value in row), "1"])
    file = tmp_path / "sheet.csv"
    file.write_text("\r\n".join(";".join(row) for row in rows), encoding="utf-16")
    found = read(file, path=figure_eight, columns={"steering_command_rad": "delta [°]"})
    expected = to_demonstrations(
        without_slip(second), controller_config=CONFIG, vehicle=VEHICLE, path=figure_eight
    )
    assert torch.allclose(found.observation, expected.observation, atol=1e-4)
    assert torch.allclose(found.output, expected.output, atol=1e-6)
    assert any("column 'v [km/h]' read as speed_mps, times 0.27778" in own for own in found.notes)


def test_files_are_read_each_with_its_own_header(own_file: Path, tmp_path: Path) -> None:
    """Columns in another order, or called otherwise; episodes of different files stay apart."""
    other = tmp_path / "other.csv"
    other.write_text(own_file.read_text().replace("steering_command_rad", "delta", 1))
    rewrite(other, lambda rows: [row.reverse() for row in rows])
    both = read(own_file, other, columns={"steering_command_rad": "delta"})
    assert torch.equal(both.output[:200], both.output[200:])
    assert both.episode.unique().tolist() == list(range(8))


def test_a_table_is_written_in_pieces(
    second: DemonstrationTable, own_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Which make the same file, whatever is left for the last one."""
    monkeypatch.setattr(files, "_ROWS_AT_ONCE", 64)
    write_demonstrations(second, tmp_path / "pieces.csv")
    assert (tmp_path / "pieces.csv").read_bytes() == own_file.read_bytes()
    assert len(own_file.read_text().splitlines()) == 201


def cut(rows: list[list[str]], row: int, name: str, value: str) -> None:
    rows[row][rows[0].index(name)] = value


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ("", "empty"),
        ("nan", "'nan' is not a finite number"),
        ("-inf", "'-inf' is not a finite number"),
        ("soon", "'soon' is not a finite number"),
    ],
)
def test_missing_value_is_named_or_skipped(value: str, told: str, own_file: Path) -> None:
    """File, row and column, as a text editor counts; or a count of what was left out."""
    rewrite(own_file, lambda rows: cut(rows, 16, "steering_command_rad", value))
    with pytest.raises(DemonstrationError) as caught:
        read(own_file)
    expected = f"{str(own_file)!r} row 17, column 'steering_command_rad': {told}"
    assert caught.value.message == expected
    assert "--skip-incomplete" in (caught.value.hint or "")
    found = read(own_file, skip_incomplete=True)
    assert (len(found), found.num_skipped) == (199, 1)


HEADER = "x_m,y_m,yaw_rad,speed_mps,steering_angle_rad,steering_command_rad,speed_command_mps\n"
ROW = "0,0,0,1,0,0.1,1\n"
BAD = {
    "empty": ("", {}, "is empty"),
    "comments alone": ("# x_m\n\n", {}, "is empty"),
    "a header alone": (HEADER, {}, "no rows"),
    "no header": (ROW * 2, {}, "row 1 holds numbers"),
    "binary": ("\0\1", {}, "not a text file"),
    "a column missing": (HEADER.replace("speed_command_mps", "v_cmd") + ROW, {}, "has no column"),
    "a column twice": (HEADER.replace("y_m", "x_m") + ROW, {}, "2 columns called 'x_m'"),
    "too many fields": (HEADER + ROW + "0,0,0,1,0,0,1,1\n", {}, "row 3 has 8 fields"),
    "too few fields": (HEADER + "0,0,0\n", {}, "row 2, column 'speed_mps': empty"),
    "points beside commas": (HEADER.replace(",", ";") + "0,5;0;0;1;0;0.5;1\n", {}, "'0,5'"),
    "no path": (HEADER + ROW, {}, "without the path"),
    "dashes for numbers": (HEADER + "-,-,-,-,-,-,-\n" + ROW, {}, "row 2, column 'x_m': '-'"),
    "nothing complete": (HEADER + "0,0,,1\n", {"skip_incomplete": True}, "no row is complete"),
    "a map from nothing": (HEADER + ROW, {"columns": {"x": "y_m"}}, "no column 'x' is needed"),
    "a map to nothing": (HEADER + ROW, {"columns": {"x_m": "X"}}, "no column 'X' is in any"),
    "a factor that makes infinities": (
        HEADER + ROW.replace("0,0,0,1", "0,0,0,10"),
        {"columns": {"speed_mps": "speed_mps*1e308"}},
        r"row 2, column 'speed_mps': '10' times 1e\+308 is not a finite number",
    ),
    "a factor in words": (HEADER + ROW, {"columns": {"x_m": "y_m*two"}}, "'two'"),
    "degrees": (HEADER + ROW.replace("0.1", "5.7"), {}, "more than a right angle"),
}


@pytest.mark.parametrize("defect", BAD)
def test_bad_file_is_explained(defect: str, tmp_path: Path) -> None:
    """Each defect gets a message that says what and where, and a hint."""
    text, arguments, expected = BAD[defect]
    file = tmp_path / "bad.csv"
    file.write_text(text)
    with pytest.raises(DemonstrationError, match=expected) as caught:
        read(file, **arguments)
    assert "bad.csv" in caught.value.message or "--column" in caught.value.message or arguments


def test_likely_names_are_suggested(tmp_path: Path) -> None:
    """All missing columns at once, each with what the file may call it."""
    file = tmp_path / "log.csv"
    file.write_text(HEADER.replace("_rad", "").replace("_mps", "") + ROW)
    with pytest.raises(DemonstrationError) as caught:
        read(file)
    assert "--column steering_command_rad=steering_command" in (caught.value.hint or "")
    assert "--column speed_command_mps=speed_command" in (caught.value.hint or "")


def test_unreadable_and_missing_files_are_explained(tmp_path: Path) -> None:
    """A folder, and nothing."""
    for file in (tmp_path, tmp_path / "nowhere.csv"):
        with pytest.raises(DemonstrationError, match="cannot be read"):
            read(file)


def test_another_path_than_was_driven_is_noticed(tmp_path: Path) -> None:
    """Cars that are metres off the path were not following it."""
    file = tmp_path / "far.csv"
    file.write_text(HEADER + ROW.replace("0,0,0,1", "0,7,0,1"))
    line = road("line")
    with pytest.raises(DemonstrationError, match=r"more than 7 m off .* the path 'line'; row 2 is"):
        read(file, path=line)
