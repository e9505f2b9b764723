"""Pictures and page of a comparison: complete, well-formed, and safe with any name."""

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from diffcar.base.files import Unwritten
from diffcar.comparison.config import CompareConfig
from diffcar.comparison.page import write_page, write_results
from diffcar.comparison.results import Comparison
from tests.comparison.synthetic import make_comparison

# What its tests share is made in one worker alone.
pytestmark = pytest.mark.xdist_group("page")

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
    return {
        "nothing": Comparison(0.02),
        "one of each": make_comparison(
            methods=("ppo",), seeds=(3,), conditions=("nominal",), engines=("mujoco",), paths=("a",)
        ),
        "several grips": make_comparison(
            methods=("e2e", "stanley"),
            seeds=(0,),
            conditions=("nominal", "delay"),
            paths=("a",),
            grips=(0.7, 0.9),
        ),
        "without e2e, with nasty names": make_comparison(
            methods=("stanley", "pure-pursuit"), seeds=(0, 1), paths=(NASTY,)
        ),
    }


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The page of a comparison, as text."""
    file = tmp_path_factory.mktemp("page") / "report.html"
    comparison = make_comparison(paths=("figure-eight", "random-1001"))
    write_page(comparison, file, title=NASTY, configuration=f"a: {NASTY}", command=NASTY)
    return file.read_text(encoding="utf-8")


@pytest.mark.parametrize("name", sparse())
def test_whatever_is_missing_every_file_is_written(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pictures and page cope with missing methods, engines, conditions, seeds and room."""
    if name != "one of each":  # the page draws the same pictures
        monkeypatch.setattr(
            "diffcar.comparison.page.save_png", lambda figure, file: file.write_bytes(b"\x89PNG")
        )
    texts = {"configuration": f"a: {NASTY}", "command": NASTY}
    unwritten: Unwritten = {}
    (tmp_path / "curves.csv").mkdir()  # where no file can be put
    file = write_results(sparse()[name], tmp_path, **texts, unwritten=unwritten)
    assert list(unwritten) == [tmp_path / "curves.csv"]
    grips = ["grips"] if name == "several grips" else []
    assert (tmp_path / "plots" / "grips.png").exists() == bool(grips)
    for picture in ("learning-curves", "conditions", "tracks", *grips):
        content = (tmp_path / "plots" / f"{picture}.png").read_bytes()
        assert content.startswith(b"\x89PNG")
    assert (tmp_path / "comparison.json").is_file()
    page = Outline()
    page.feed(file.read_text(encoding="utf-8"))
    assert not page.open
    assert "script" not in page.tags
    assert ("At the limit of grip" in file.read_text(encoding="utf-8")) == bool(grips)


def test_a_report_loads_nothing_and_names_nothing_twice(report: str) -> None:
    """The page is one file: no script, no address, and no two elements of one identifier."""
    page = Outline()
    page.feed(report)
    assert not page.open
    assert not page.loaded
    assert not re.search(r"@import|url\((?!#)", report)
    assert "script" not in page.tags
    assert len(page.ids) == len(set(page.ids))
    used = {a or b for a, b in re.findall(r'href="#([^"]+)"|url\(#([^)]+)\)', report)}
    assert used
    assert used <= set(page.ids)


def test_a_report_says_that_deviations_are_scaled(report: str) -> None:
    """No deviation is drawn larger than it is without a word."""
    assert re.search(r"deviations scaled up \d+ times", report)
    assert "to scale" in report


def test_a_report_names_and_describes_its_methods(report: str) -> None:
    """With the words of the registry, beside a colour that a dark page replaces."""
    assert "imitates e2e, which corrects it" in report
    assert "steering law, tuned" in report
    assert "background: var(--c-009e73, #009e73)" in report
    assert "--c-009e73: #2fc49a" in report


def test_what_belongs_to_a_method_can_be_hidden(report: str) -> None:
    """Each box of the page has something to hide in every drawing."""
    for index in range(len(CompareConfig().methods)):
        assert f'id="show-{index}"' in report
        assert f"#show-{index}:not(:checked)) .m{index} " in report
        assert report.count(f'class="m{index}"') >= 2 * 3
