"""Plots and report of a comparison: complete, well-formed, and safe with any name."""

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from diffcar.compare.pictures.conditions import plot_conditions
from diffcar.compare.pictures.learning_curves import plot_learning_curves
from diffcar.compare.pictures.tracks import plot_tracks
from diffcar.compare.report.page import write_report
from diffcar.compare.results import Comparison
from diffcar.compare.style import styles_of
from tests.synthetic_comparison import make_comparison

VOID = {"meta", "input", "br", "hr", "img", "link"}
NASTY = "<script>alert('$x^2$')</script> & \"id\""


class Outline(HTMLParser):
    """Checks that elements close, and collects what a page would load."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.ids: list[str] = []
        self.loaded: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag not in VOID:
            self.open.append(tag)
        for name, value in attrs:
            if name == "id":
                self.ids.append(str(value))
            if name in ("src", "href", "xlink:href") and not str(value).startswith("#"):
                self.loaded.append(str(value))

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def sparse() -> dict[str, Comparison]:
    renamed = make_comparison(methods=("e2e", "ppo"), seeds=(0,), paths=(NASTY,))
    return {
        "nothing": Comparison(threshold_m=0.02),
        "one of each": make_comparison(
            methods=("ppo",), seeds=(3,), conditions=("nominal",), engines=("mujoco",)
        ),
        "without e2e": make_comparison(methods=("stanley", "pure-pursuit"), paths=("sine",)),
        "nasty names": renamed,
    }


def report_of(comparison: Comparison, folder: Path) -> str:
    file = folder / "report.html"
    write_report(comparison, file, title=NASTY, configuration=f"a: {NASTY}", command=NASTY)
    return file.read_text(encoding="utf-8")


@pytest.mark.parametrize("name", sparse())
def test_whatever_is_missing_every_file_is_written(name: str, tmp_path: Path) -> None:
    """Plots and report cope with missing methods, engines, conditions and seeds."""
    comparison = sparse()[name]
    for index, plot in enumerate((plot_learning_curves, plot_conditions, plot_tracks)):
        plot(comparison, tmp_path / f"{index}.png")
        assert (tmp_path / f"{index}.png").read_bytes().startswith(b"\x89PNG")
    page = Outline()
    page.feed(report_of(comparison, tmp_path))
    assert not page.open


def test_a_report_loads_nothing_and_names_nothing_twice(tmp_path: Path) -> None:
    """The page is one file: no script, no address, and no two elements of one identifier."""
    text = report_of(make_comparison(paths=("figure-eight", "random-1001")), tmp_path)
    page = Outline()
    page.feed(text)
    assert not page.open
    assert not page.loaded
    assert not re.search(r"@import|url\((?!#)", text)
    assert "script" not in page.tags
    assert len(page.ids) == len(set(page.ids))
    assert set(re.findall(r'href="#([^"]+)"|url\(#([^)]+)\)', text)) and all(
        (first or second) in page.ids
        for first, second in re.findall(r'href="#([^"]+)"|url\(#([^)]+)\)', text)
    )


def test_a_report_says_that_deviations_are_scaled(tmp_path: Path) -> None:
    """No deviation is drawn larger than it is without a word."""
    text = report_of(make_comparison(paths=("figure-eight",)), tmp_path)
    assert re.search(r"Deviations scaled up \d+ times", text)
    assert "to scale" in text


def test_a_method_looks_the_same_whoever_else_is_compared() -> None:
    """Colours do not depend on the company."""
    assert styles_of(["ppo"])["ppo"] == styles_of(["e2e", "mine", "ppo"])["ppo"]
    colours = {style.colour for style in styles_of(["e2e", "ppo", "mine", "other"]).values()}
    assert len(colours) == 4
