"""What is shown of records, in a terminal without colours."""

import codecs
import io
from dataclasses import dataclass

import pytest
from rich.console import Console

from diffcar.base.table import Column, Curve, Line, Mark, Shown, Table, across
from diffcar.cli import streams
from diffcar.cli.show import show


@dataclass(frozen=True)
class Lap:
    """A row."""

    driver: str
    seconds: float | None
    offset_m: float
    is_valid: bool = True


LAPS = [Lap("stanley", 12.3456, 0.0012), Lap("stanley", None, 1.5, False), Lap("zero", 7.0, 0.0)]
COLUMNS: list[Column[Lap]] = [
    Column("driver", lambda lap: lap.driver),
    Column("time", lambda lap: lap.seconds, "s", key="time_s"),
    Column("offset\n", lambda lap: lap.offset_m, "mm", 1e3, "offset_m"),
    Column(
        "verdict",
        lambda lap: "valid" if lap.is_valid else "not valid",
        mark=lambda lap: Mark.GOOD if lap.is_valid else Mark.BAD,
    ),
    Column("of a minute", lambda lap: (lap.seconds or 0) / 60, "%", 100.0, is_extra=True),
]
TABLE = Table("laps [2]", COLUMNS, LAPS, note="A [note].", section=lambda lap: lap.driver)


def shown(*items: Shown, width: int = 80, colours: bool = False) -> str:
    file = io.StringIO()
    show(items, Console(file=file, width=width, color_system="standard" if colours else None))
    return file.getvalue()


def test_a_table_is_a_title_units_numbers_to_the_right_and_a_note() -> None:
    """Sections are separated; square brackets are no markup; extras need room."""
    assert shown(TABLE).splitlines() == [
        "",
        "laps [2]",
        "┏━━━━━━━━━┳━━━━━━━━━━┳━━━━━━━━┳━━━━━━━━━━━┓",
        "┃         ┃          ┃ offset ┃           ┃",
        "┃ driver  ┃ time [s] ┃   [mm] ┃ verdict   ┃",
        "┡━━━━━━━━━╇━━━━━━━━━━╇━━━━━━━━╇━━━━━━━━━━━┩",
        "│ stanley │     12.3 │    1.2 │ valid     │",
        "│ stanley │        - │  1,500 │ not valid │",
        "├─────────┼──────────┼────────┼───────────┤",
        "│ zero    │        7 │      0 │ valid     │",
        "└─────────┴──────────┴────────┴───────────┘",
        "A [note].",
    ]
    assert "of a minute [%]" in shown(TABLE, width=100)


def test_colours_say_what_the_words_say() -> None:
    """A mark is a style of the cell or of the words alone."""
    text = shown(TABLE, Line("it is certified today", "certified", Mark.GOOD), colours=True)
    assert "\x1b[31mnot valid\x1b[0m" in text
    assert "it is \x1b[32mcertified\x1b[0m today" in text


def test_records_are_in_si_by_the_keys() -> None:
    """What people read in mm is written in m; what is for the eye alone is left out."""
    assert TABLE.records()[0] == {"time_s": 12.3456, "offset_m": 0.0012}


def test_a_table_across_has_a_quantity_a_line_and_its_unit_at_the_end() -> None:
    """The same columns, read the other way."""
    lines = shown(across("laps", "figure", COLUMNS[:3], {"a": LAPS[0], "b": LAPS[1]})).splitlines()
    assert [[cell.strip() for cell in line.split("│")[1:-1]] for line in lines[5:8]] == [
        ["driver", "stanley", "stanley", ""],
        ["time", "12.3", "-", "s"],
        ["offset", "1.2", "1,500", "mm"],
    ]


def test_what_is_copied_is_never_broken_and_prose_is_broken_between_words() -> None:
    """A command to go on with, against a sentence."""
    assert shown(Line("diffcar " * 20)) == "diffcar " * 20 + "\n"
    prose = shown("word [a] " * 20)
    assert max(map(len, prose.splitlines())) <= 80
    assert prose.split() == ["word", "[a]"] * 20


def test_a_curve_needs_two_points() -> None:
    """Those that are not finite and positive are none."""
    assert "update of this session" in shown(Curve("loss", [1.0, 0.1, 0.01]))
    assert shown(Curve("loss", [1.0, float("nan"), -1.0])) == ""


WIDE: list[Column[Lap]] = [
    Column("the driver of the lap", lambda lap: f"{lap.driver} drives on and on"),
    *(Column("offset from the path", lambda lap: lap.offset_m / 7, "m") for _ in range(4)),
    Column("mean", lambda lap: lap.offset_m, "mm", words=lambda lap: "0.123 ± 0.0456"),
    Column("verdict", lambda lap: "1.25 mm is near"),
]


@pytest.mark.parametrize("width", [1, 7, 20, 40, 60, 80, 120])
def test_no_digit_is_cut_at_any_width(width: int) -> None:
    """Columns without room follow in a table of their own; lines are as wide as the terminal."""
    text = shown(Table("laps", WIDE, LAPS[:2]), width=width)
    counts = {"1.71e-04": 4, "0.214": 4, "0.123 ± 0.0456": 2, "1.25": 2}
    assert {whole: text.count(whole) for whole in counts} == counts
    assert max(map(len, text.splitlines())) <= max(width, 24)


def test_a_terminal_without_utf_8_gets_ascii() -> None:
    """Frames, curves and signs are spelled, names that it lacks escaped; nothing is lost."""
    raw = io.BytesIO()
    codecs.register_error("diffcar", streams.spelled)
    file = io.TextIOWrapper(raw, encoding="ascii", errors="diffcar")
    curve = Curve("loss", [1.0, 0.1, 0.01])
    show([Table("laps", WIDE, LAPS[:1]), curve, "Müller · [b]"], Console(file=file, width=100))
    file.flush()
    text = raw.getvalue().decode("ascii")
    assert "| 0.123 +- 0.0456 |" in text
    assert "x" in text.split("loss")[1].split("update of")[0]
    assert "M\\xfcller - [b]" in text


def test_names_are_no_markup() -> None:
    """Neither tags nor emoji, in titles, cells and sentences."""
    name = "[/b] [red]x :smile: \\"
    text = shown(Table(name, COLUMNS[:1], [Lap(name, 1.0, 1.0)], note=name), name, Line(name))
    assert text.count(name) == 5


def test_numbers_stay_whole_where_room_is_tight() -> None:
    """A narrow table gives up its frame and breaks headings and words, not numbers."""
    wide: list[Column[Lap]] = [
        Column("the driver of the lap", lambda lap: f"{lap.driver} drives on and on"),
        *(Column("offset from the path", lambda lap: lap.offset_m / 7, "m") for _ in range(4)),
    ]
    lines = shown(Table("laps", wide, LAPS[:2]), width=60).splitlines()
    assert max(map(len, lines)) <= 60
    assert "1.71e-04 │ 1.71e-04 │ 1.71e-04 │ 1.71e-04" in "\n".join(lines)
