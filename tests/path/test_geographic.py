"""Latitude and longitude against the lengths of degrees, and GPX files sound and hostile."""

import math
from pathlib import Path

import numpy as np
import pytest

from diffcar.base.errors import ConfigError, PathError
from diffcar.path import geographic
from diffcar.path.config import PathConfig, refuse_idle_columns
from diffcar.path.geographic import to_metres
from diffcar.path.load import load_path
from tests.path.files import CIRCLE, load, rows

HOME = np.array([48.2625, 11.6677])
# Metres per degree there, by the radii of curvature of the ellipsoid.
SINE = math.sin(math.radians(HOME[0])) ** 2
ACROSS = 6378137.0 / math.sqrt(1 - 0.00669437999014 * SINE)
ALONG = ACROSS * (1 - 0.00669437999014) / (1 - 0.00669437999014 * SINE)
PER_DEGREE = np.radians([ALONG, ACROSS * math.cos(math.radians(HOME[0]))])
DEGREES = HOME + 10 * (CIRCLE - CIRCLE[0])[:, ::-1] / PER_DEGREE
LINES = "\n".join(f"{a:.9f},{b:.9f}" for a, b in DEGREES)
HEADED = "Latitude [deg],Longitude [deg]\n" + LINES


def test_degrees_become_the_metres_that_they_are(tmp_path: Path) -> None:
    """A circle of thirty metres, whose origin results remember; scaled it is one of three."""
    path = load(tmp_path, HEADED, latlon=True)
    assert path.closed
    assert path.length == pytest.approx(60 * math.pi, rel=1e-4)
    assert path.samples[0, :3] == pytest.approx([0, 0, math.pi / 2], abs=1e-3)
    assert path.as_json()["path_origin_deg"] == pytest.approx(HOME)
    assert path.columns == ("lat", "lon")
    assert load(tmp_path, HEADED, latlon=True, scale=0.1).length == pytest.approx(
        6 * math.pi, rel=1e-4
    )


def test_far_points_lie_on_the_plane_that_touches_the_first() -> None:
    """A quarter of the equator ends at the Earth's radius; the date line is no border."""
    xy, origin = to_metres(np.array([[0.0, 180.0], [0.0, -90.0], [0.0, -179.99]]), Path("far"))
    assert xy[1] == pytest.approx([6378137.0, 0.0])
    assert xy[2] == pytest.approx([6378137.0 * math.radians(0.01), 0.0], rel=1e-6)
    assert origin == (0.0, 180.0)


def test_columns_that_are_told_are_degrees_when_that_is_asked_for(tmp_path: Path) -> None:
    """As x the longitude, as y the latitude, by name or one by one."""
    for content, columns in (("p,q\n" + LINES, {"x": "q", "y": "p"}), (LINES, ["y", "x"])):
        path = load(tmp_path, content, latlon=True, columns=columns)
        assert path.length == pytest.approx(60 * math.pi, rel=1e-4)
    with pytest.raises(PathError, match="no latitudes up to 90"):
        load(tmp_path, "lat,lon\n" + "100,0\n" * 5, latlon=True)


def gpx(points: str, kind: str = "trk") -> str:
    inner = f"<trkseg>{points}</trkseg>" if kind == "trk" else points
    head = (
        '<?xml version="1.0"?>\n<!-- a drive -->\n<gpx xmlns="http://www.topografix.com/GPX/1/1">'
    )
    return f"{head}<wpt lat='1' lon='1'/><{kind}><name>x</name>{inner}</{kind}></gpx>"


def points(name: str) -> str:
    return "".join(f"<{name} lat='{a:.9f}' lon='{b:.9f}'><ele>3</ele></{name}>" for a, b in DEGREES)


@pytest.mark.parametrize("kind", ["trk", "rte"])
def test_a_gpx_track_or_route_is_read(kind: str, tmp_path: Path) -> None:
    """Without any option: it has nothing but degrees."""
    path = load(tmp_path, gpx(points(f"{kind}pt"), kind), "drive.gpx")
    assert path.length == pytest.approx(60 * math.pi, rel=1e-4)
    assert path.as_json()["path_origin_deg"] == pytest.approx(HOME)


HOSTILE = {
    "entities": ('<!DOCTYPE g [<!ENTITY a "aa"><!ENTITY b "&a;&a;">]>' + gpx("&b;"), "entities"),
    "an outer file": ('<!DOCTYPE g SYSTEM "file:///etc/passwd">' + gpx(""), "document type"),
    "half a file": (gpx(points("trkpt"))[:900], "no sound GPX file"),
    "no numbers": (gpx("<trkpt lat='north' lon='1'/>"), "no sound GPX file"),
    "no longitude": (gpx("<trkpt lat='1'/>"), "no sound GPX file"),
    "no points": (gpx(""), "no points"),
    "two tracks": (
        gpx(points("trkpt")).replace("</gpx>", "") + gpx(points("trkpt"))[66:],
        "2 tracks",
    ),
    "not a number": (gpx("<trkpt lat='nan' lon='1'/>" * 9), "no latitudes"),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_hostile_gpx_file_is_refused(kind: str, tmp_path: Path) -> None:
    """By name, whatever it declares."""
    content, problem = HOSTILE[kind]
    with pytest.raises(PathError, match=problem) as caught:
        load(tmp_path, content, "drive.gpx")
    assert "drive.gpx" in caught.value.message


def test_a_huge_gpx_file_is_not_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By its size alone."""
    monkeypatch.setattr(geographic, "_LARGEST", 1000)
    with pytest.raises(PathError, match="larger than"):
        load(tmp_path, gpx(points("trkpt")), "drive.gpx")


def test_degrees_that_are_asked_for_must_be_there(tmp_path: Path) -> None:
    """Of the path itself; unseen ones may be in metres. What was given is not advised again."""
    named = "x,y\n" + "\n".join(f"{b:.9f},{a:.9f}" for a, b in DEGREES)
    with pytest.raises(PathError, match="no latitude and longitude") as caught:
        load(tmp_path, named, latlon=True)
    assert "leave out --latlon" in (caught.value.hint or "")
    unseen = PathConfig(source="drive.gpx", latlon=True).elsewhere(str(tmp_path / "path.csv"), 1.0)
    with pytest.raises(PathError, match="long; paths from") as caught:
        load_path(unseen, nameless={})
    assert "--latlon" not in (caught.value.hint or "")
    (tmp_path / "path.csv").write_text("x,y\n" + rows(CIRCLE))
    assert load_path(unseen, nameless={}).length == pytest.approx(6 * math.pi, rel=1e-4)


def test_columns_of_a_gpx_file_are_refused() -> None:
    """It has none; other files of the same command may have them."""
    path = PathConfig(source="drive.gpx", columns={"x": "a", "y": "b"})
    with pytest.raises(ConfigError, match=r"no effect on the path 'drive\.gpx'"):
        load_path(path)
    refuse_idle_columns(path, ["other.csv"])
