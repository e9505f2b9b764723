"""A car that goes with a run: the same car from one folder, wherever that is moved."""

import errno
import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from diffcar.base.errors import ModelError, OutputError
from diffcar.base.files import digests, resource_path
from diffcar.sim.model.carried import car_of_run, carry_car, files_of_carried, origin_of_carried
from diffcar.sim.model.measured import Measurement
from diffcar.sim.model.read import load_vehicle
from diffcar.sim.model.vehicle import Vehicle
from tests.sim.model.cars import mjcf, write
from tests.sim.model.test_kinds import in_a_package

GRIP = Measurement("grip", ("speed_mps", "direction_rad", "acceleration_mps2"), 0.0)


def moved(car: Vehicle, folder: Path) -> Vehicle:
    """Carry a car, take away what it came from, move what is carried, and read that."""
    assert car.origin is not None
    carry_car(car, str(car.origin), folder / "car")
    shutil.rmtree(car.origin.parent)
    there = folder / "elsewhere"
    (folder / "car").rename(there)
    return load_vehicle(there / "car.xml", drive="front")


def test_a_carried_car_is_the_same_anywhere(tmp_path: Path) -> None:
    """With its meshes, which lay in a package; what was read of it is known by its digests."""
    mine = tmp_path / "mine"
    mine.mkdir()
    car = load_vehicle(in_a_package(mine, "my_car"))
    again = moved(replace(car), tmp_path)
    as_before = replace(car.driven_by("front"), assumptions=again.assumptions, file=again.file)
    assert again == as_before
    assert again.files == car.files
    assert [Path(name).name for name, _ in car.files] == ["car.urdf", "tyre.obj"]
    assert origin_of_carried(again.file) == str(car.origin)
    kept = {file.name for file in again.file.parent.iterdir()}
    assert kept == {"car.xml", "car.json", "tyre.obj"}
    again.file.write_text(again.file.read_text().replace('size="0.05', 'size="0.04'))
    assert files_of_carried(again.file) is None


def test_a_car_in_diffcars_naming_is_carried_as_it_is(tmp_path: Path) -> None:
    """To the last digit; a shipped one needs no copy."""
    text = resource_path("assets/car.xml").read_text()
    car = load_vehicle(write(tmp_path, text, "mine.xml"))
    assert car.origin is None
    carry_car(car, "mine.xml", tmp_path / "car")
    (tmp_path / "mine.xml").unlink()
    again = load_vehicle(tmp_path / "car" / "car.xml")
    assert replace(again, file=car.file) == car
    assert again.files == car.files
    carry_car(load_vehicle("racer"), "racer", tmp_path / "none")
    assert not (tmp_path / "none").exists()


def test_measurements_lie_beside_the_users_file_and_are_carried(tmp_path: Path) -> None:
    """Under its name there, and under the copy's in the run."""
    mine = tmp_path / "mine"
    mine.mkdir()
    car = load_vehicle(write(mine, mjcf(), "truck.xml"))
    file = GRIP.write(car, "genesis", [(1.0, 0.0, 5.0), (2.0, 0.0, 5.0)])
    assert file == mine / "truck.grip.csv"
    again = moved(car, tmp_path)
    assert GRIP.file(again) == again.file.parent / "car.grip.csv"
    rear = replace(again, driven_joints=car.driven_joints)
    assert GRIP.read(rear).values.tolist() == [[[5.0], [5.0]]]
    assert files_of_carried(again.file) == car.files


def test_a_carried_car_is_not_rewritten_again(tmp_path: Path) -> None:
    """Whatever settings say how its file was to be read."""
    car = load_vehicle(write(tmp_path, mjcf(), "truck.xml"))
    carry_car(car, "truck.xml", tmp_path / "car")
    model = tmp_path / "car" / "car.xml"
    assert load_vehicle(model).assumptions == ()
    record = tmp_path / "car" / "car.json"
    assert json.loads(record.read_text())["model"] == "truck.xml"


DAMAGED = {
    "{": "Expecting property name",
    '{"format": "diffcar car 1"}': "model: Field required",
    '{"format": "diffcar car 1", "model": 5, "files": [], "carried": []}': "model: .* string",
    '{"format": "diffcar car 1", "model": "x", "files": 5, "carried": []}': "files: ",
    '{"format": "diffcar car 1", "model": "x", "files": [], "carried": 5}': "carried: ",
    '{"format": "diffcar car 1", "model": "x", "files": [["a"]], "carried": []}': "files.0",
    '{"format": "diffcar car 1", "model": "x", "files": [], "carried": [[1, "b"]]}': "carried.0.0",
    100_000 * "[": "recursion",
}


@pytest.mark.parametrize("text", DAMAGED, ids=range(len(DAMAGED)))
def test_a_damaged_record_is_told(text: str, tmp_path: Path) -> None:
    """With the key; whatever is written there."""
    write(tmp_path, mjcf(), "car.xml")
    (tmp_path / "car.json").write_text(text)
    with pytest.raises(ModelError, match=rf"car.json' is damaged: .*{DAMAGED[text]}") as error:
        load_vehicle(tmp_path / "car.xml")
    assert error.value.hint == "copy the run's folder anew"


def test_names_that_no_file_has_are_lacking(tmp_path: Path) -> None:
    """Echoed in part."""
    write(tmp_path, mjcf(), "car.xml")
    record = {"format": "diffcar car 1", "model": "x", "files": [], "carried": [["x" * 5000, ""]]}
    (tmp_path / "car.json").write_text(json.dumps(record))
    with pytest.raises(ModelError, match=r"lacks x+ \[4,800 characters left out\]"):
        load_vehicle(tmp_path / "car.xml")


def test_what_else_lies_beside_a_carried_car_is_no_part_of_it(tmp_path: Path) -> None:
    """A folder and a link to nothing; a file is, since the model might read it."""
    car = load_vehicle(write(tmp_path, mjcf(), "truck.xml"))
    carry_car(car, "truck.xml", tmp_path / "car")
    (tmp_path / "car" / "notes").mkdir()
    (tmp_path / "car" / "link").symlink_to("nowhere")
    assert files_of_carried(tmp_path / "car" / "car.xml") == car.files


@pytest.mark.parametrize("refused", ["tyre.obj", "car.grip.csv"])
def test_a_file_system_that_refuses_a_copy_is_told(
    refused: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As of any other output: a mesh, and what was measured."""
    car = load_vehicle(in_a_package(tmp_path, "my_car"))
    GRIP.write(car, "genesis", [(1.0, 0.0, 5.0)])
    replaced = Path.replace

    def full(file: Path, target: Path) -> Path:
        if target.name == refused:
            raise OSError(errno.ENOSPC, "No space left on device")
        return replaced(file, target)

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(OutputError, match=rf"{refused}' cannot be written: No space left"):
        carry_car(car, "mine", tmp_path / "car")


def test_a_run_that_was_killed_before_its_record_carries_no_car_yet(tmp_path: Path) -> None:
    """Nor is another `car.json` beside a model of one's own taken for a record."""
    car = load_vehicle(write(tmp_path, mjcf(), "truck.xml"))
    carry_car(car, "truck.xml", tmp_path / "car")
    model, record = tmp_path / "car" / "car.xml", tmp_path / "car" / "car.json"
    assert car_of_run(tmp_path) == model
    record.write_text('{"model": "bmw", "files": [], "carried": []}')
    assert files_of_carried(model) is None
    assert load_vehicle(model).files == digests([model])
    record.unlink()
    assert car_of_run(tmp_path) is None


def test_a_run_s_car_that_lost_a_mesh_is_told_apart(tmp_path: Path) -> None:
    """With what to do about it, which is not to mend the model."""
    carry_car(load_vehicle(in_a_package(tmp_path, "my_car")), "mine", tmp_path / "car")
    (tmp_path / "car" / "tyre.obj").unlink()
    with pytest.raises(ModelError, match=r"car of a run .* lacks tyre.obj") as error:
        load_vehicle(tmp_path / "car" / "car.xml")
    assert "copy the run's folder anew" in str(error.value.hint)
