"""Demonstrations: what is recorded, and what comes back from files of any tool."""

import csv
import math
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import hypothesis
import pytest
import torch
from hypothesis import strategies
from torch import Tensor

from diffcar.base.errors import DemonstrationError
from diffcar.controllers.config import ControllerConfig
from diffcar.controllers.errors import compute_error_state
from diffcar.controllers.observation import PathObserver
from diffcar.controllers.pure_pursuit import PurePursuit
from diffcar.controllers.tracking_mlp import build_tracking_mlp
from diffcar.controllers.zero import Zero
from diffcar.demonstrations.config import DemonstrationConfig
from diffcar.demonstrations.files import read_demonstrations, write_demonstrations
from diffcar.demonstrations.recording import Recording, record_demonstrations
from diffcar.demonstrations.table import (
    ACTION_COLUMNS,
    Demonstrations,
    DemonstrationTable,
    to_demonstrations,
)
from diffcar.path.config import PathConfig
from diffcar.path.load import load_path
from diffcar.path.reference import ReferencePath
from diffcar.sim.contract import CarState, Placement
from diffcar.sim.model.vehicle import load_vehicle
from diffcar.tasks.tracking.config import StartConfig

VEHICLE = load_vehicle()
CONFIG = ControllerConfig()
QUIET = DemonstrationConfig(duration=1.0, noisy_fraction=0.0)


class RollingCars:
    """Cars whose wheels do not slip, as a scene without an engine."""

    dt = 0.02
    vehicle = VEHICLE

    def __init__(self, num_envs: int) -> None:
        self.num_envs = num_envs

    def reset(self, start: Placement) -> None:
        self._place(start.position, start.yaw, start.speed, torch.zeros_like(start.yaw))

    def read(self) -> CarState:
        return self._state

    def apply(self, action: Tensor) -> None:
        self._action = action

    def step(self) -> None:
        car = self._state
        yaw = car.yaw + self.dt * car.yaw_rate
        cos, sin = torch.cos(yaw), torch.sin(yaw)
        velocity = torch.stack(
            [
                car.speed * cos - car.lateral_velocity * sin,
                car.speed * sin + car.lateral_velocity * cos,
            ],
            dim=-1,
        )
        speed = car.speed + (self._action[:, 1] - car.speed).clamp(-0.1, 0.1)
        steering = self._action[:, 0].clamp(-VEHICLE.max_steering, VEHICLE.max_steering)
        self._place(car.position + self.dt * velocity, yaw, speed, steering)

    def _place(self, position: Tensor, yaw: Tensor, speed: Tensor, steering: Tensor) -> None:
        yaw_rate = speed * torch.tan(steering) / VEHICLE.wheelbase
        self._state = CarState(
            position=position,
            yaw=yaw,
            speed=speed,
            lateral_velocity=-VEHICLE.rear_axle_x * yaw_rate,
            yaw_rate=yaw_rate,
            steering_angles=torch.stack([steering, steering], -1),
            wheel_speeds=torch.stack([speed, speed], -1),
            qpos=torch.zeros(self.num_envs, 13),
            dofs_velocity=torch.zeros(self.num_envs, 12),
        )


class Straight:
    """Drives on whatever the road does."""

    name = "straight"

    def __call__(self, state: CarState, errors: object) -> Tensor:
        return torch.stack([torch.zeros_like(state.speed), torch.full_like(state.speed, 2.0)], -1)


def quiet_but(**values: float) -> DemonstrationConfig:
    return QUIET.model_copy(update=values)


def record(
    path: ReferencePath, config: DemonstrationConfig = QUIET, *, seed: int = 0, **arguments: object
) -> Recording:
    arguments.setdefault("expert", PurePursuit(VEHICLE))
    return record_demonstrations(
        RollingCars(4),
        path=path,
        controller_config=CONFIG,
        config=config,
        start_config=StartConfig(),
        seed=seed,
        **arguments,
    )


def read(*files: Path, **arguments: object) -> Demonstrations:
    return read_demonstrations(files, controller_config=CONFIG, vehicle=VEHICLE, **arguments)


def foreign(table: DemonstrationTable, names: dict[str, str]) -> DemonstrationTable:
    return {given: table[name] for name, given in names.items()}


def rewrite(file: Path, change: Callable[[list[list[str]]], object], separator: str = ",") -> Path:
    with file.open(newline="") as stream:
        rows = list(csv.reader(stream))
    change(rows)
    file.write_text("\n".join(separator.join(row) for row in rows) + "\n")
    return file


@pytest.fixture
def own_file(figure_eight: ReferencePath, tmp_path: Path) -> Path:
    file = tmp_path / "own.csv"
    write_demonstrations(record(figure_eight).table, file)
    return file


def test_recorded_rows_are_states_before_actions(figure_eight: ReferencePath) -> None:
    """The first rows are the start states, and a row's action is the expert's in its state."""
    table = record(figure_eight).table
    assert list(table)[:2] == ["episode", "t_s"]
    assert table["t_s"][:3].tolist() == pytest.approx([0.0, 0.02, 0.04])
    assert len(table["x_m"]) == 4 * 50
    car = CarState(
        position=torch.stack([table["x_m"], table["y_m"]], -1),
        yaw=table["yaw_rad"],
        speed=table["speed_mps"],
        lateral_velocity=table["lateral_velocity_mps"],
        yaw_rate=table["yaw_rate_radps"],
        steering_angles=table["steering_angle_rad"][:, None].expand(-1, 2),
        wheel_speeds=torch.zeros(200, 2),
        qpos=torch.zeros(200, 13),
        dofs_velocity=torch.zeros(200, 12),
    )
    errors = compute_error_state(figure_eight, car, table["arc_length_m"])
    action = PurePursuit(VEHICLE)(car, errors)
    assert torch.allclose(action[:, 0], table["steering_command_rad"], atol=1e-9)
    assert torch.allclose(action[:, 1], table["speed_command_mps"], atol=1e-9)
    observation = PathObserver(CONFIG).observe(car, errors)
    assert torch.allclose(observation[:, -1], table["obs_speed_0.4m"], atol=1e-9)


def test_noise_disturbs_what_is_driven_but_not_what_is_recorded(
    figure_eight: ReferencePath,
) -> None:
    """Half of the cars drive other commands than are recorded, and further from the path."""
    config = quiet_but(noisy_fraction=0.5, steering_noise=0.2, duration=2.0)
    recording = record(figure_eight, config)
    assert recording.is_noisy.tolist() == [True, True, False, False]
    recorded = recording.table["steering_command_rad"].reshape(4, -1)
    difference = recording.trajectory.action[..., 0].T - recorded
    assert torch.count_nonzero(difference[2:]) == 0
    assert 0.1 < float(difference[:2].std()) < 0.3
    # Smooth: what comes next resembles what was, as exp(-dt / noise_time) says.
    before, after = difference[:2, :-1].flatten(), difference[:2, 1:].flatten()
    correlation = float(torch.corrcoef(torch.stack([before, after]))[0, 1])
    assert correlation == pytest.approx(math.exp(-0.02 / 0.2), abs=0.08)


def test_recording_depends_on_the_seed_alone(figure_eight: ReferencePath) -> None:
    """The same seed gives the same rows, another seed others."""
    config = quiet_but(noisy_fraction=1.0)
    tables = [record(figure_eight, config, seed=seed).table for seed in (1, 1, 2)]
    assert all(torch.equal(tables[0][name], tables[1][name]) for name in tables[0])
    assert not torch.equal(tables[0]["x_m"], tables[2]["x_m"])


def test_expert_labels_what_another_one_drives(figure_eight: ReferencePath) -> None:
    """DAgger: the cars go where the learner takes them, the actions are the expert's."""
    recording = record(figure_eight, driver=Zero())
    assert torch.count_nonzero(recording.trajectory.action) == 0
    assert float(recording.table["speed_command_mps"].min()) > 0.5
    assert float(recording.table["steering_command_rad"].abs().max()) > 0.0


def test_an_episode_ends_where_its_car_loses_the_path() -> None:
    """Nothing is learnt from a car that has left the road, nor beyond the end of an open one."""
    circle = load_path(PathConfig(source="circle"))
    lost = record(circle, quiet_but(duration=5.0), driver=Straight())
    assert lost.is_lost.any()
    assert float(lost.table["cross_track_m"].abs().max()) <= 1.0
    assert len(lost.table["x_m"]) < 4 * 250
    lane = load_path(PathConfig(source="obstacle-avoidance"))
    ended = record(lane, quiet_but(duration=8.0))
    assert not ended.is_lost.any()
    assert lane.length - 0.2 < float(ended.table["arc_length_m"].max()) < lane.length


def test_output_is_what_the_network_would_have_to_say(figure_eight: ReferencePath) -> None:
    """The network's own scaling turns the outputs to learn into the actions recorded."""
    network = build_tracking_mlp(CONFIG, VEHICLE, dtype=torch.float64, seed=3)
    with torch.no_grad():
        for weight in network.network.parameters():
            weight.mul_(1.5)
    recording = record(figure_eight, expert=network)
    learnt = to_demonstrations(recording.table, controller_config=CONFIG, vehicle=VEHICLE)
    assert float(learnt.output.abs().max()) <= 1.0
    assert float(learnt.output[:, 1].abs().max()) > 0.01
    driven = network.command(learnt.output, SimpleNamespace(speed=recording.table["speed_mps"]))
    for index, name in enumerate(ACTION_COLUMNS):
        assert torch.allclose(driven[:, index], recording.table[name], atol=1e-9)


@hypothesis.settings(max_examples=40, deadline=None)
@hypothesis.given(data=strategies.data())
def test_table_survives_its_file(data: strategies.DataObject, tmp_path_factory: object) -> None:
    """Whatever finite numbers of 32 bits are written are read back, bit for bit."""
    names = ["speed_mps", *[f"obs_{name}" for name in PathObserver.names(CONFIG)]]
    names += ["steering_command_rad", "speed_command_mps"]
    number = strategies.floats(-1e9, 1e9, width=32)
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
    dropped: tuple[str, ...], figure_eight: ReferencePath, tmp_path: Path
) -> None:
    """From the state and the path, over a lap that crosses itself, in rows of any order."""
    file = tmp_path / "lap.csv"
    config = QUIET.model_copy(update={"duration": 10.0})
    write_demonstrations(record(figure_eight, config).table, file)
    recorded = read(file)

    def keep_the_state(rows: list[list[str]]) -> None:
        keep = [i for i, name in enumerate(rows[0]) if not name.startswith(dropped)]
        rows[:] = [[row[i] for i in keep] for row in [rows[0], *rows[:0:-1]]]

    derived = read(rewrite(file, keep_the_state), path=figure_eight)
    assert len(derived) == 4 * 500
    assert torch.allclose(derived.observation.flip(0), recorded.observation, atol=1e-5)
    assert torch.allclose(derived.output.flip(0), recorded.output, atol=1e-6)
    assert derived.episode.flip(0).tolist() == recorded.episode.tolist()
    single = load_path(PathConfig(source="figure-eight")).to(torch.float32)
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
    separator: str, figure_eight: ReferencePath, tmp_path: Path
) -> None:
    """Other names, degrees, comments, no episodes, and motion that follows without slip."""
    table = record(figure_eight).table
    table["yaw_rad"] = torch.rad2deg(table["yaw_rad"])
    file = tmp_path / "foreign.csv"
    write_demonstrations(foreign(table, FOREIGN), file)
    rewrite(file, lambda rows: None, separator)
    file.write_text("\ufeff# logged on a Tuesday\n\n" + file.read_text(), encoding="utf-8")
    columns = {**FOREIGN, "yaw_rad": f"heading*{math.pi / 180}"}
    found = read(file, path=figure_eight, columns=columns)
    expected = to_demonstrations(
        record(figure_eight).table, controller_config=CONFIG, vehicle=VEHICLE
    )
    assert torch.allclose(found.observation, expected.observation, atol=1e-4)
    assert torch.allclose(found.output, expected.output, atol=1e-6)
    assert found.episode.unique().tolist() == [0]
    assert len(found.notes) == 2
    assert all("slip" in note for note in found.notes)


def test_files_are_read_each_with_its_own_header(own_file: Path, tmp_path: Path) -> None:
    """Columns in another order, or called otherwise; episodes of different files stay apart."""
    other = tmp_path / "other.csv"
    other.write_text(own_file.read_text().replace("steering_command_rad", "delta", 1))
    rewrite(other, lambda rows: [row.reverse() for row in rows])
    both = read(own_file, other, columns={"steering_command_rad": "delta"})
    assert torch.equal(both.output[:200], both.output[200:])
    assert both.episode.unique().tolist() == list(range(8))


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
    "decimal commas": (HEADER.replace(",", ";") + "0,5;0;0;1;0;0;1\n", {}, "'0,5'"),
    "no path": (HEADER + ROW, {}, "without the path"),
    "nothing complete": (HEADER + "0,0,,1\n", {"skip_incomplete": True}, "no row is complete"),
    "a map from nothing": (HEADER + ROW, {"columns": {"x": "y_m"}}, "no column 'x' is needed"),
    "a map to nothing": (HEADER + ROW, {"columns": {"x_m": "X"}}, "no column 'X' is in any"),
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
    assert "--column yaw_rad=yaw" in (caught.value.hint or "")


def test_unreadable_and_missing_files_are_explained(tmp_path: Path) -> None:
    """A folder, and nothing."""
    for file in (tmp_path, tmp_path / "nowhere.csv"):
        with pytest.raises(DemonstrationError, match="cannot be read"):
            read(file)


def test_another_path_than_was_driven_is_noticed(tmp_path: Path) -> None:
    """Cars that are metres off the path were not following it."""
    file = tmp_path / "far.csv"
    file.write_text(HEADER + ROW.replace("0,0,0,1", "0,7,0,1"))
    line = load_path(PathConfig(source="line"))
    with pytest.raises(DemonstrationError, match="7 m off the path 'line'"):
        read(file, path=line)
