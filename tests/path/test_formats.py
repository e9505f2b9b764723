"""Path files of every supported kind, and what is wrong with bad ones."""

import math
from pathlib import Path

import numpy as np
import pytest

from diffcar.base.errors import ConfigError, PathError
from diffcar.path.config import PathConfig
from diffcar.path.formats import DIALECTS
from diffcar.path.load import load_path
from diffcar.path.reference import ReferencePath
from tests.path.files import ANGLES, CIRCLE, ONES, rows


def write(folder: Path, text: str) -> Path:
    file = folder / "path.csv"
    file.write_text(text)
    return file


def load(file: Path, **settings: object) -> ReferencePath:
    return load_path(PathConfig(source=str(file), **settings))


KINDS = {
    "TUM track": "# x_m,y_m,w_tr_right_m,w_tr_left_m\n" + rows(CIRCLE, 5 * ONES, 5 * ONES),
    "TUM raceline": "# x_m,y_m\n" + rows(CIRCLE),
    "F1TENTH raceline": "# made by hand\n# s_m; x_m; y_m; psi_rad; kappa_radpm; vx_mps; ax_mps2\n"
    + rows(3 * ANGLES, CIRCLE, ANGLES, ONES / 3, 2 * ONES, 0 * ONES, separator="; "),
    "plain with header": "x,y,v\n" + rows(CIRCLE, 2 * ONES),
    "plain without header": rows(CIRCLE),
    "tabs": "x\ty\n" + rows(CIRCLE, separator="\t"),
    "spaces": rows(CIRCLE, separator=" "),
    "nameless pose with speed": rows(CIRCLE, ANGLES + np.pi / 2, 2 * ONES),
    "nameless pose, wrapped, from the y axis": rows(CIRCLE, np.angle(np.exp(1j * ANGLES))),
    "nameless pose with a height, in degrees": rows(
        CIRCLE, np.rad2deg(ANGLES + np.pi / 2) % 360, 0 * ONES
    ),
    "nameless points in space": rows(CIRCLE, 412 + ONES),
    "nameless F1TENTH raceline": rows(
        3 * ANGLES, CIRCLE, ANGLES, ONES / 3, 2 * ONES, 0 * ONES, separator="; "
    ),
}


@pytest.mark.parametrize("kind", KINDS)
def test_file_of_kind_becomes_a_circle(kind: str, tmp_path: Path) -> None:
    """Every kind is recognised as a closed circle of 3 m radius."""
    path = load(write(tmp_path, KINDS[kind]))
    assert path.closed
    assert path.length == pytest.approx(6 * math.pi, rel=1e-4)
    assert np.allclose(path.samples[:, 3], 1 / 3, atol=2e-3)
    has_speed = any(word in kind for word in ("F1TENTH", "with speed", "plain with header"))
    assert ("speed" in path.columns) == has_speed
    assert path.samples[:, 4].max() == pytest.approx(2.0 if has_speed else 3.0, abs=1e-3)


AMBIGUOUS = {
    "widths": rows(CIRCLE, 1.1 * ONES, 1.2 * ONES),
    "heights": rows(CIRCLE, 0.5 + 0.2 * np.sin(ANGLES)),
    "speeds": rows(CIRCLE, 2 + np.sin(ANGLES)),
    "a height or a speed beside a heading": rows(CIRCLE, 2 * ONES, ANGLES + np.pi / 2),
    "a heading of a straight road, or a speed": rows(*np.mgrid[0:8:0.2, 1:2].reshape(2, -1), ONES),
    "a speed that is nearly a heading": rows(
        np.r_[np.arange(39.0), 38], np.r_[np.zeros(39), 1], 3.14 * ONES
    ),
}


@pytest.mark.parametrize("kind", AMBIGUOUS)
def test_what_may_be_a_speed_or_something_else_is_refused_until_it_is_told(
    kind: str, tmp_path: Path
) -> None:
    """A column that could be a width or a height never becomes a speed by itself."""
    file = write(tmp_path, AMBIGUOUS[kind])
    with pytest.raises(PathError, match="may be a speed as well") as caught:
        load(file)
    assert "path.columns" in (caught.value.hint or "")
    num_columns = AMBIGUOUS[kind].partition("\n")[0].count(",") + 1
    for third in ("speed", "ignore"):
        columns = ["x", "y", third, "ignore"][:num_columns]
        path = load(file, columns=columns, top_speed=9.0, lateral_acceleration=99.0)
        assert path.columns == tuple(columns)
        fastest = np.loadtxt(file, delimiter=",")[:, 2].max() if third == "speed" else 9.0
        assert path.samples[:, 4].max() == pytest.approx(fastest, rel=0.02)


def test_columns_that_are_told_go_before_the_header_and_must_fit(tmp_path: Path) -> None:
    """Names that nobody knows can be left as they are; a wrong number of columns cannot."""
    file = write(tmp_path, "there,yonder,z\n" + rows(CIRCLE, ONES))
    with pytest.raises(PathError, match="has no column 'x', 'y'"):
        load(file)
    told = load(file, columns=["x", "y", "ignore"])
    assert told.length == pytest.approx(6 * math.pi, rel=1e-4)
    assert load(file, columns=["y", "x", "ignore"]).samples[0, :2] == pytest.approx([0, 3])
    for columns, problem in ((["x", "y"], "names 2 columns"), (["x", "y", "y"], "one y")):
        with pytest.raises(PathError, match=problem):
            load(file, columns=columns)


@pytest.mark.parametrize(("source", "line"), [("x,y,v\n", 7), ("", 6)])
@pytest.mark.parametrize("speed", [0.0, -1.0])
def test_a_speed_that_is_not_positive_is_an_error_with_its_row(
    source: str, line: int, speed: float, tmp_path: Path
) -> None:
    """It is not driven at a crawl."""
    speeds = np.where(np.arange(40) == 5, speed, 2.0)
    columns = (CIRCLE, speeds) if source else (CIRCLE, ANGLES + np.pi / 2, speeds)
    with pytest.raises(PathError, match=f"row {line}: the speed"):
        load(write(tmp_path, source + rows(*columns)))


def test_what_was_read_is_told(tmp_path: Path) -> None:
    """The columns, and whether it is a loop and by what; a file's path alone has columns."""
    file = write(tmp_path, KINDS["TUM track"])
    assert load(file).warnings[-1] == (
        "columns read: x, y, ignore, ignore; taken for a loop by the gap between its ends"
    )
    path = load(file, closed=False)
    assert path.warnings[-1].endswith("taken for open as asked")
    assert path.kind == "open, read as x, y, ignore, ignore"
    assert load_path("circle").as_json() == {
        "path_is_loop": True,
        "path_columns": [],
        "path_origin_m": [0.0, 0.0],
        "path_origin_deg": None,
    }


@pytest.mark.parametrize("setting", [{"closed": False}, {"columns": ["x", "y"]}, {"seed": 3}])
def test_a_setting_that_a_path_has_no_use_for_is_refused(setting: dict[str, object]) -> None:
    """A circle is a loop of no columns whatever is said."""
    with pytest.raises(ConfigError, match="has no effect on the path 'circle'") as caught:
        load_path(PathConfig(source="circle", **setting))
    assert "leave out" in (caught.value.hint or "")


@pytest.mark.parametrize("closed", [None, True])
def test_a_loop_that_repeats_its_start_more_than_once_is_a_loop(
    closed: bool | None, tmp_path: Path
) -> None:
    """However often, and whether or not the points are the same to the last digit."""
    for shift in (0.0, 1e-4):
        loop = np.vstack([CIRCLE, CIRCLE[:1], CIRCLE[:1] + shift, CIRCLE[:1]])
        path = load(write(tmp_path, rows(loop)), closed=closed)
        assert path.closed
        assert path.length == pytest.approx(6 * math.pi, rel=1e-4)
        assert np.abs(path.samples[:, 3]).max() < 0.34


def test_a_path_far_from_the_origin_is_shifted_and_says_so(tmp_path: Path) -> None:
    """In float64, by whole metres, scaled or not; what lies near stays where it is."""
    here = load(write(tmp_path, rows(CIRCLE)))
    assert here.origin == (0.0, 0.0)
    for scale in (1.0, 0.1):
        far = load(write(tmp_path, rows(CIRCLE / scale + [600000.4, 5300000])), scale=scale)
        assert far.origin == (round(600000.4 * scale), 5300000 * scale)
        assert np.abs(far.samples[:, :2]).max() < 3.5
        assert far.warnings[0].startswith(f"driven with ({far.origin[0]:.0f}, ")
        assert np.allclose(far.samples[:, 2:], here.samples[:, 2:], atol=1e-4)
        expected = here.samples[:, :2] + [600000.4 * scale, 5300000 * scale]
        assert np.abs(far.unshifted(far.samples[:, :2]).numpy() - expected).max() < 1e-5


def test_a_path_that_reaches_too_far_for_32_bits_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half a millimetre is a car's error; a coordinate beyond the Earth is a mistake."""
    monkeypatch.setattr("diffcar.path.load._GRID_STEP", 1.0)  # half a million points take seconds
    road = np.stack([np.linspace(0, 9_000, 400), np.zeros(400)], 1)
    assert "0.49 mm apart" in load(write(tmp_path, rows(road))).warnings[1]
    with pytest.raises(PathError, match="nowhere"):
        load(write(tmp_path, rows(road + 1e9)))


def test_scale_shrinks_the_track(tmp_path: Path) -> None:
    """`--path-scale 0.1` makes a race track one for a 1:10 car."""
    path = load(write(tmp_path, rows(10 * CIRCLE)), scale=0.1)
    assert path.length == pytest.approx(6 * math.pi, rel=1e-4)


def test_open_path_is_recognised_and_can_be_forced(tmp_path: Path) -> None:
    """A gap between the ends means open, unless the user says otherwise."""
    half = write(tmp_path, rows(CIRCLE[:20]))
    assert not load(half).closed
    assert load(half, closed=True).closed


BAD = {
    "too few points": ("0,0\n1,0\n2,0\n", "3 points"),
    "not a number": ("x,y\n0,0\n1,nan\n2,0\n3,0\n", "row 3"),
    "text in a cell": ("x,y\n0,0\n1,oops\n2,0\n3,0\n", "'oops'"),
    "ragged": ("x,y\n0,0\n1,0,5\n2,0\n3,0\n", "row 3"),
    "unknown column": ("x,y,colour\n0,0,1\n1,0,1\n2,0,1\n3,0,1\n", "colour"),
    "header of another length": ("y,x\n0,0,1\n2,0,1\n4,0,1\n6,0,1\n", "3 fields, the header 2"),
    "no y": ("x,v\n0,0\n1,0\n2,0\n3,0\n", "no column 'y'"),
    "five nameless columns": ("0,0,0,0,0\n1,0,0,0,0\n", "5 columns"),
    "empty": ("", "no numbers"),
    "turns back": (
        "x,y\n" + "\n".join(f"{x},0" for x in (0, 1, 2, 3, 2.5, 3.5, 4.5)),
        "turns back",
    ),
    "all the same": ("x,y\n" + "1,1\n" * 8, "m long"),
}


@pytest.mark.parametrize("defect", BAD)
def test_bad_file_is_explained(defect: str, tmp_path: Path) -> None:
    """Each defect gets a message that says what and where."""
    text, expected = BAD[defect]
    with pytest.raises(PathError, match=expected):
        load(write(tmp_path, text))


@pytest.mark.parametrize("defect", ["no y", "five nameless columns"])
def test_file_that_no_format_fits_is_told_which_exist(defect: str, tmp_path: Path) -> None:
    """All kinds of files by name, each with what its columns are called."""
    with pytest.raises(PathError) as caught:
        load(write(tmp_path, BAD[defect][0]))
    assert len(DIALECTS) > 1
    assert all(f"{kind.name} ({', '.join(kind.columns)})" in caught.value.hint for kind in DIALECTS)


def test_binary_and_missing_files_are_explained(tmp_path: Path) -> None:
    """No traceback from an image or a typing error."""
    (tmp_path / "image.csv").write_bytes(bytes(range(256)))
    with pytest.raises(PathError, match="not a text file"):
        load(tmp_path / "image.csv")
    with pytest.raises(PathError) as caught:
        load_path(PathConfig(source="figure-eigth"))
    assert "figure-eight" in str(caught.value.hint)


def test_rounded_repeat_of_the_start_is_dropped(tmp_path: Path) -> None:
    """A loop whose last row is the first again, a tenth of a millimetre off."""
    loop = np.vstack([CIRCLE - CIRCLE[0], [[1e-4, -1e-4]]])
    path = load(write(tmp_path, rows(loop)))
    assert np.abs(path.samples[:, 3]).max() < 0.34


def test_comments_before_the_data_are_not_headers(tmp_path: Path) -> None:
    """A remark of as many words as there are columns stays a remark."""
    path = load(write(tmp_path, "# x_m,y_m\n# generated, today\n" + rows(CIRCLE)))
    assert path.closed


def test_repeated_points_are_dropped_with_a_warning(tmp_path: Path) -> None:
    """A stutter in the file does not break the spline."""
    doubled = np.repeat(CIRCLE, [1] * 10 + [2] + [1] * 29, axis=0)
    path = load(write(tmp_path, rows(doubled)))
    assert path.length == pytest.approx(6 * math.pi, rel=1e-3)
    assert "1 repeated points dropped" in path.warnings[0]


def test_sharp_turn_and_crossing_are_warned_about_with_their_place(tmp_path: Path) -> None:
    """What the car cannot steer, and what may be points out of order, is said."""
    tight = load_path(
        PathConfig(source=str(write(tmp_path, rows(CIRCLE))), scale=0.1), max_curvature=1.3
    )
    assert "radius" in tight.warnings[0]
    eight = np.stack([np.sin(ANGLES + 0.05), np.sin(2 * ANGLES + 0.1)], 1)
    crossed = load(write(tmp_path, rows(4 * eight)))
    assert "crosses itself" in crossed.warnings[0]
