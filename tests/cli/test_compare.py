"""The tables of a comparison in a terminal."""

import io
from pathlib import Path

import pytest
from rich.console import Console

from diffcar.base.config import load_config
from diffcar.cli.compare import _base, _preset
from diffcar.cli.given import Given
from diffcar.cli.show import show
from diffcar.cli.train import settings_of
from diffcar.comparison.config import CompareConfig
from diffcar.comparison.results import Comparison
from diffcar.comparison.tables import tables
from tests.comparison.synthetic import make_comparison


def shown(comparison: Comparison, width: int) -> str:
    console = Console(file=io.StringIO(), width=width)
    for about in tables(comparison).values():
        for table in about:
            show([table], console)
    return console.file.getvalue()  # type: ignore[attr-defined]


@pytest.mark.parametrize("width", [80, 100])
def test_tables_fit_and_keep_their_figures_whole(width: int) -> None:
    """Seven methods fit into 80 columns, and no name of a condition or path is broken."""
    text = shown(make_comparison(), width)
    in_tables = [line for line in text.splitlines() if "│" in line or "┃" in line]
    assert max(map(len, in_tables)) <= width
    assert "…" not in text
    for name in ("friction +30 %", "obstacle-avoidance", "1.04 ± 0.041", "[mm]", "over e2e"):
        assert name in text


def test_missing_parts_are_left_out() -> None:
    """A comparison of one method in one engine, and one of nothing, are shown."""
    text = shown(
        make_comparison(methods=("ppo",), seeds=(0,), engines=("mujoco",), conditions=("nominal",)),
        80,
    )
    assert "by path" in text
    assert "by condition" not in text
    assert "over e2e" not in text
    assert shown(Comparison(0.02), 80) == ""


@pytest.mark.parametrize("width", [30, 40, 60])
def test_every_figure_is_whole_in_a_narrow_terminal(width: int) -> None:
    """Those of the wide tables, save for columns that are extra."""
    for about in tables(make_comparison()).values():
        for table in about:
            columns = [own for own in table.columns if not own.is_extra and table.is_number(own)]
            console = Console(file=io.StringIO(), width=width)
            show([table], console)
            text = console.file.getvalue()  # type: ignore[attr-defined]
            for column in columns:
                assert all(column.text(row) in text for row in table.rows), column.heading


@pytest.mark.parametrize(
    ("quick", "suite", "conditions"),
    [(True, None, {"push", "delay"}), (False, "robust", None), (True, "mine.yaml", {"mine"})],
)
def test_shipped_settings_are_left_open_for_the_car(
    quick: bool, suite: str | None, conditions: set[str] | None, tmp_path: Path
) -> None:
    """Unlike those of a suite of one's own, which takes the place of the whole shipped one."""
    if suite == "mine.yaml":
        suite = str(tmp_path / suite)
        Path(suite).write_text("conditions: {mine: {push_force: 7.0}}\n")
    config = load_config(CompareConfig, base=_base(None, suite), preset=_preset(quick, None, suite))
    assert set(config.suite.conditions) == (conditions or set(config.suite.conditions))
    assert ("suite" in config.model_fields_set) == (conditions == {"mine"})
    assert "e2e" not in config.model_fields_set or not quick


def test_training_for_real_cars_is_left_open_for_the_car() -> None:
    """What `--robust` sets is for a car of the shipped size."""
    config = settings_of("e2e", Given({}, {"robust": True}))
    assert config.randomisation.push_force == [0, 30]
    assert "randomisation" not in config.model_fields_set
