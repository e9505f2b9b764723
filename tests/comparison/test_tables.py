"""The tables of a comparison, and its files."""

import csv
import json
from pathlib import Path

import pytest

from diffcar.base.table import Mark
from diffcar.comparison.results import Comparison
from diffcar.comparison.tables import as_json, tables, write_csv
from tests.comparison.synthetic import make_comparison

SCORE_COLUMNS = (
    "method,seed,engine,condition,path,grip,cross_track_rmse_m,cross_track_max_m,speed_rmse_mps,"
    "lost_share,cross_track_p95_m,time_over_profile"
)
CURVE_COLUMNS = "method,seed,iteration,train_seconds,num_env_steps,cross_track_rmse_m,lost_share"
JSON_KEYS = {
    "": "threshold_m methods engines conditions paths ranked_grip summaries verdicts contestants "
    "scores curves grips",
    "summaries": "method num_seeds rmse_m rmse_deviation_m lost cross_track_p95_m "
    "time_over_profile train_seconds num_env_steps seconds_to_threshold env_steps_to_threshold "
    "costs",
    "costs": "threshold_m seconds env_steps",
    "verdicts": "cost_over_e2e e2e_over_best_classical clone_over_expert dagger_share_of_gap "
    "mujoco_over_genesis",
    "cost_over_e2e": "seconds env_steps",
    "contestants": "method seed source train_seconds num_env_steps",
    "scores": "method seed engine condition path grip cross_track_rmse_m cross_track_max_m "
    "speed_rmse_mps lost cross_track_p95_m time_over_profile",
    "curves": "method seed iteration train_seconds num_env_steps cross_track_rmse_m lost",
}


def test_files_hold_every_score_and_point_under_their_headers(tmp_path: Path) -> None:
    """The tables can be read back with their figures unrounded."""
    comparison = make_comparison(methods=("e2e", "ppo"), seeds=(0,))
    for frame, columns in ((comparison.scores, SCORE_COLUMNS), (comparison.curves, CURVE_COLUMNS)):
        write_csv(frame, tmp_path / "frame.csv")
        with (tmp_path / "frame.csv").open(newline="") as stream:
            rows = list(csv.DictReader(stream))
        assert list(rows[0]) == columns.split(",")
        assert len(rows) == len(frame)
        assert float(rows[3]["cross_track_rmse_m"]) == frame.cross_track_rmse_m[3]
        assert rows[5]["seed"] == "0"


def test_a_comparison_of_nothing_has_headers_alone(tmp_path: Path) -> None:
    """Nobody who reads the files has to ask whether there is anything in them."""
    write_csv(Comparison(0.02).scores, tmp_path / "scores.csv")
    assert (tmp_path / "scores.csv").read_text().split() == [SCORE_COLUMNS]
    assert list(as_json(Comparison(0.02))) == JSON_KEYS[""].split()


def test_json_has_the_listed_keys_and_texts_for_pairs() -> None:
    """Engine and condition are one key, at any depth."""
    content = json.loads(json.dumps(as_json(make_comparison(methods=("e2e", "ppo")))))
    summary = content["summaries"][0]
    found = {
        "": content,
        "summaries": summary,
        "costs": summary["costs"][0],
        "verdicts": content["verdicts"],
        "cost_over_e2e": content["verdicts"]["cost_over_e2e"]["ppo"],
        **{name: content[name][0] for name in ("contestants", "scores", "curves")},
    }
    assert {name: " ".join(part) for name, part in found.items()} == JSON_KEYS
    assert summary["rmse_m"]["genesis/nominal"] < 2e-3
    assert next(iter(summary["rmse_m"])) == "genesis/nominal"
    assert content["verdicts"]["cost_over_e2e"]["ppo"]["seconds"] > 1


def test_what_is_read_and_what_is_written_are_the_same_columns() -> None:
    """The table of the methods shows a part of what JSON holds of them."""
    comparison = make_comparison()
    (summary,) = tables(comparison)["methods"]
    for shown, written in zip(summary.records(), as_json(comparison)["summaries"], strict=True):  # type: ignore[call-overload]
        assert shown == {key: written[key] for key in shown}
        assert len(shown) >= 3


def test_a_column_is_there_only_for_an_engine_that_drove() -> None:
    """Instead of a column of dashes."""
    (summary,) = tables(make_comparison(engines=("mujoco",)))["methods"]
    headings = [column.heading.strip() for column in summary.columns]
    assert "MuJoCo" in headings
    assert "Genesis" not in headings


def test_the_best_of_a_row_is_marked() -> None:
    """And nobody else."""
    grid, *_ = tables(make_comparison())["conditions"]
    marks = {c.heading: c.mark_of(grid.rows[0]) for c in grid.columns if c.mark_of(grid.rows[0])}
    assert marks == {"e2e": Mark.BEST}


def test_what_is_never_reached_is_called_so() -> None:
    """It is not the same as what was not measured."""
    time, _ = tables(make_comparison())["costs"]
    (row,) = [row for row in time.rows if row.name == "bc-pure-pursuit *"]
    assert [column.text(row) for column in time.columns[1:]] == ["never"] * 5


def test_by_grip_each_method_is_told_in_each_engine() -> None:
    """By hand for one cell; a mean over several grips is nowhere."""
    comparison = make_comparison(methods=("e2e", "ppo"), grips=(0.8, 0.9, 0.95))
    genesis, mujoco = tables(comparison)["grips"]
    assert [column.heading.split()[0] for column in genesis.columns] == [
        *("method", "grip", "finished", "RMSE", "p95", "max", "time")
    ]
    cells = [[column.text(row) for column in mujoco.columns[:3]] for row in mujoco.rows]
    shares = {("e2e", 95.0): "50"}
    assert cells == [
        [method, f"{grip:g}", shares.get((method, grip), "100")]
        for grip in (80.0, 90.0, 95.0)
        for method in ("e2e", "ppo")
    ]
    assert "MuJoCo" in mujoco.title
    own = comparison.scores.query(
        "method == 'ppo' and engine == 'genesis' and condition == 'nominal' and grip == 0.9"
    )
    row = genesis.rows[3]
    assert row["cross_track_rmse_m"] == pytest.approx(sum(own.cross_track_rmse_m) / len(own))
    assert row["cross_track_max_m"] == max(own.cross_track_max_m)
    assert row["time_over_profile"] == pytest.approx(0.01)
    assert genesis.columns[-1].text(genesis.rows[4]) == "-"
    assert genesis.columns[-1].text(genesis.rows[5]) == "1"
    (summary,) = tables(comparison)["methods"]
    assert "the 6 paths at 90 % of the grip" in summary.title
    assert summary.rows[1].rmse_m["genesis", "nominal"] == pytest.approx(row["cross_track_rmse_m"])
    grips = as_json(comparison)["grips"]
    assert isinstance(grips, list)
    assert len(grips) == 2 * 3 * 8 * 2
    assert grips[0].keys() == {
        *("method", "engine", "condition", "grip", "finished", "cross_track_rmse_m"),
        *("cross_track_p95_m", "cross_track_max_m", "time_over_profile"),
    }
