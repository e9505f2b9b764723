"""Path files as other programs write them: read as they are meant, or refused with what to do."""

import math
from pathlib import Path

import numpy as np
import pytest

from diffcar.base.errors import PathError
from tests.path.files import ANGLES, CIRCLE, ONES, load, rows

SPEED = 7.2 * ONES  # two metres per second, in kilometres per hour
COUNT = np.arange(40.0)
COMMAS = rows(CIRCLE, separator=";", point=",")
INDEXED = "\n".join(f"{at},{x},{y}" for at, (x, y) in enumerate(CIRCLE))
PLAIN = {
    "a byte order mark": "\ufeffx,y\n" + rows(CIRCLE),
    "UTF-16 of a spreadsheet": ("x\ty\n" + rows(CIRCLE, separator="\t")).encode("utf-16"),
    "another code page": ("x [m];y [m];yaw [°]\n" + rows(CIRCLE, ANGLES, separator=";")).encode(
        "cp1252"
    ),
    "Windows line ends": ("x,y\n" + rows(CIRCLE)).replace("\n", "\r\n"),
    "quotes": '"x", "y"\n' + "\n".join(f'"{x}", "{y}"' for x, y in CIRCLE),
    "decimal commas": "x;y\n" + COMMAS,
    "decimal commas and tabs": "x\ty\n" + rows(CIRCLE, separator="\t", point=","),
    "decimal commas and dates": "time;x;y"
    + "".join(f"\n26.11.2026 10:00;{line}" for line in COMMAS.split()),
    "a separator that is told": "sep=;\nx;y\n" + COMMAS,
    "trailing separators": "x,y\n" + rows(CIRCLE).replace("\n", ",\n") + ",",
    "trailing separators without a header": rows(CIRCLE).replace("\n", ",\n") + ",",
    "an index": ",x,y\n" + INDEXED,
    "an index without a name": "x,y\n" + INDEXED,
    "an index called by the sign of comments": "#,x,y\n" + INDEXED,
    "columns besides": "x,y,z,width,is_pit,theta\n" + rows(CIRCLE, ONES, ONES, ONES, ANGLES),
    "text besides": "x,y,name\n" + "\n".join(f"{x},{y},gate 7" for x, y in CIRCLE),
    "lines before the header": "Made by hand\nTrack;mine\n\nx;y;z\n"
    + rows(CIRCLE, ONES, separator=";"),
    "a header with other separators": "# x_m; y_m\n" + rows(CIRCLE, separator=" "),
    "names of a map": "Easting,Northing,Height\n" + rows(CIRCLE, ONES),
    "centimetres": "x [cm],y [cm]\n" + rows(100 * CIRCLE),
    "millimetres": "x_mm,y_mm\n" + rows(1000 * CIRCLE),
    "a line of units": "x,y,z\ncm,cm,m\n" + rows(100 * CIRCLE, ONES),
    "a plotted message": "__time,/odom/pose/pose/position/x,/odom/pose/pose/position/y\n"
    + rows(ANGLES, CIRCLE),
}
FAST = {
    "kilometres per hour in brackets": "x [m],y [m],v [km/h]\n" + rows(CIRCLE, SPEED),
    "in parentheses": "X (m);Y (m);Speed (km/h)\n" + rows(CIRCLE, SPEED, separator=";"),
    "in a name": "x_m,y_m,speed_kmh\n" + rows(CIRCLE, SPEED),
    "in a line of units": "x,y,v\nm,m,km/h\n" + rows(CIRCLE, SPEED),
    "Autoware": "x,y,z,yaw,velocity,change_flag\n"
    + rows(CIRCLE, ONES, ANGLES, SPEED * (COUNT > 0), 0 * ONES),
    "an echoed message": "%time,field.pose.pose.position.x,field.pose.pose.position.y,"
    "field.pose.pose.position.z,field.twist.twist.linear.x\n"
    + rows(ANGLES, CIRCLE, ONES, 2 * ONES),
}


@pytest.mark.parametrize("kind", PLAIN)
def test_an_everyday_file_is_the_circle_that_it_is(kind: str, tmp_path: Path) -> None:
    """Of three metres' radius, closed, counter-clockwise, without a speed of its own."""
    path = load(tmp_path, PLAIN[kind])
    assert path.closed
    assert path.length == pytest.approx(6 * math.pi, rel=1e-4)
    assert path.samples[0, :3] == pytest.approx([3, 0, math.pi / 2], abs=1e-3)
    assert "speed" not in path.columns
    assert path.samples[:, 4].max() == pytest.approx(3.0)


@pytest.mark.parametrize("kind", FAST)
def test_a_speed_is_read_in_the_unit_that_the_file_tells(kind: str, tmp_path: Path) -> None:
    """And the note says so."""
    path = load(tmp_path, FAST[kind])
    assert path.samples[:, 4].max() == pytest.approx(2.0, abs=1e-5)
    assert path.closed
    if "message" not in kind:
        assert any("times 0.27778" in note for note in path.warnings)


def test_what_is_ignored_is_told(tmp_path: Path) -> None:
    """By name, but for those that a known format has."""
    path = load(tmp_path, "s_m,x_m,y_m,flag,w_tr_left_m\n" + rows(ANGLES, CIRCLE, ONES, ONES))
    assert "columns ignored: flag" in path.warnings


REFUSED = {
    "latitudes": ("lat,lon\n" + rows(CIRCLE), "latitude and longitude", "--latlon"),
    "tags of cones": (
        "tag,x,y\n" + "\n".join(f"blue,{x},{y}" for x, y in CIRCLE),
        "cones or edges of a road, not of a path: 'blue'",
        "centre line",
    ),
    "cones without a header": (
        "\n".join(f"{x},{y},yellow" for x, y in CIRCLE),
        "not of a path: 'yellow'",
        "centre line",
    ),
    "colours of cones": ("x,y,color\n" + rows(CIRCLE, ONES), "'color'", "centre line"),
    "two edges": (
        "left_x,left_y,right_x,right_y\n" + rows(CIRCLE, CIRCLE),
        "'left_x', 'left_y', 'right_x', 'right_y'",
        "centre line",
    ),
    "a velocity's parts": ("x,y,vx,vy\n" + rows(CIRCLE, ONES, ONES), "world's x", "speed=vx"),
    "km/h or not": (
        "x,y,z,yaw,velocity,change_flag,lane\n" + rows(CIRCLE, *[ONES] * 5),
        "may be in km/h",
        "speed=velocity",
    ),
    "two speeds": ("x,y,v,v_kmh\n" + rows(CIRCLE, ONES, ONES), "may be speed", "--column speed=v"),
    "an unknown unit": (
        "x [px],y [px]\n" + rows(CIRCLE),
        "no column 'x', 'y'",
        "--column x=NAME",
    ),
    "thousands": ("x;y\n" + "1.234,5;2.345,5\n" * 9, "row 2", "decimal comma"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_what_is_doubtful_is_refused_with_what_to_do(kind: str, tmp_path: Path) -> None:
    """By name, with the option or the remedy in the hint."""
    content, problem, hint = REFUSED[kind]
    with pytest.raises(PathError, match=r"path\.csv") as caught:
        load(tmp_path, content)
    assert problem in caught.value.message
    assert hint in (caught.value.hint or "")


def test_columns_are_read_by_the_names_that_are_told(tmp_path: Path) -> None:
    """With a factor, or in the unit of the heading; what is not told goes by the header."""
    content = "px,py,v [km/h],fast\n" + rows(CIRCLE, SPEED, 20 * ONES)
    told = {"x": "px", "y": "py"}
    path = load(tmp_path, content, columns=told)
    assert path.columns == ("x", "y", "speed", "ignore")
    assert path.samples[0, [0, 1, 4]] == pytest.approx([3, 0, 2], abs=1e-5)
    swapped = load(tmp_path, content, columns={"x": "py*-1", "y": "px", "speed": "fast*0.05"})
    assert swapped.samples[0, [0, 1, 4]] == pytest.approx([0, 3, 1], abs=1e-5)
    cones = load(tmp_path, "x,y,color\n" + rows(CIRCLE, ONES), columns={"x": "x", "y": "y"})
    assert cones.length == pytest.approx(6 * math.pi, rel=1e-4)
    with pytest.raises(PathError, match="no column 'p_y' for y") as caught:
        load(tmp_path, content, columns={"x": "px", "y": "p_y"})
    assert "did you mean" in (caught.value.hint or "")
    with pytest.raises(PathError, match="no column 'px' for x"):
        load(tmp_path, rows(CIRCLE), columns=told)


def test_an_unknown_unit_of_a_column_that_is_told_is_refused_without_a_factor(
    tmp_path: Path,
) -> None:
    """Inches are no metres; a number in brackets is an index."""
    content = "e [in],n [in]\n" + rows(CIRCLE / 0.0254)
    with pytest.raises(PathError, match=r"unit of its column 'e \[in\]' is unknown") as caught:
        load(tmp_path, content, columns={"x": "e [in]", "y": "n [in]"})
    assert "'e [in]*FACTOR'" in (caught.value.hint or "")
    path = load(tmp_path, content, columns={"x": "e [in]*0.0254", "y": "n [in]*0.0254"})
    assert path.length == pytest.approx(6 * math.pi, rel=1e-4)
    indexed = load(tmp_path, "p[0],p[1]\n" + rows(CIRCLE), columns={"x": "p[0]", "y": "p[1]"})
    assert indexed.length == pytest.approx(6 * math.pi, rel=1e-4)


def looped(*parts: np.ndarray) -> str:
    return "x,y\n" + rows(np.vstack(parts))


UNEVEN = 2 * np.pi * 0.98 * np.cumsum(1.1 + np.cos(np.linspace(0, 2 * np.pi, 60))) / 66
CIRCLES = {
    "one spacing short": CIRCLE[:-1],
    "two spacings short": CIRCLE[:-2],
    "repeating its start": np.vstack([CIRCLE, CIRCLE[:1]]),
    "overlapping": np.vstack([CIRCLE, CIRCLE[:6]]),
    "overlapping between its points": 3
    * np.stack([np.cos(np.arange(45) * 0.157 + 0.1), np.sin(np.arange(45) * 0.157 + 0.1)], 1),
    "driven twice": np.vstack([CIRCLE, CIRCLE]),
    "sampled by time": 3 * np.stack([np.cos(UNEVEN), np.sin(UNEVEN)], 1),
}


@pytest.mark.parametrize("kind", CIRCLES)
def test_a_lap_is_a_loop(kind: str, tmp_path: Path) -> None:
    """Where its ends meet within two samples or overlap; it is as long as one lap."""
    path = load(tmp_path, looped(CIRCLES[kind]))
    assert path.closed
    assert path.length == pytest.approx(6 * math.pi, rel=2e-3)
    assert np.abs(path.samples[:, 3]).max() < 0.37


STRAIGHT = np.stack([np.linspace(0, 10, 101), np.zeros(101)], 1)
BACK = np.stack([np.linspace(10, 0, 101), np.full(101, 0.25)], 1)
ROADS = {
    "a quarter of a circle is missing": CIRCLE[:30],
    "there and back in the next lane": np.vstack([STRAIGHT, BACK]),
    "a road that ends on itself": np.vstack([STRAIGHT[::5] - [10, 3], CIRCLE[30:], CIRCLE[:32]]),
    "a spiral": np.stack([(1 + ANGLES) * np.cos(2 * ANGLES), (1 + ANGLES) * np.sin(2 * ANGLES)], 1),
    "four points": np.array([[0.0, 0], [1, 0], [2, 0.2], [3, 0.5]]),
}


@pytest.mark.parametrize("kind", ROADS)
def test_a_road_is_none(kind: str, tmp_path: Path) -> None:
    """Even where its ends lie side by side, or it runs into itself."""
    path = load(tmp_path, looped(ROADS[kind]))
    assert not path.closed
    assert any("taken for open" in note for note in path.warnings)
