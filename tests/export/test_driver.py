"""The plain driver does what the controller in the simulator does, wherever the car is."""

import math

import pytest
import torch

from tests.export.exported import (
    DTYPES,
    FULL_SCALE,
    NETWORKS,
    TOLERANCE,
    commands,
    driver_of,
    situations,
)
from tests.samples import road

PATHS = ("figure-eight", "slalom", "circle")


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("source", PATHS)
@pytest.mark.parametrize("precision", [32, 64])
def test_it_commands_what_the_controller_commands_that_drives(
    name: str, source: str, precision: int
) -> None:
    """On and off the path, before its start and after its end, however often the car has turned."""
    path, network = road(source), NETWORKS[name]()
    rows, before = situations(path, 24, precision, network.past_commands)
    expected = commands(network, path, rows, before)
    driver, dtype = driver_of(name, path, precision), DTYPES[precision]
    for row, memory, command in zip(rows.to(dtype), before.to(dtype), expected, strict=True):
        found, following = driver(row, memory)
        assert float((found / FULL_SCALE - command).abs().max()) < TOLERANCE[precision]
        assert not path.closed or 0 <= float(following[0]) <= path.length + 1e-6
        if network.past_commands:
            assert following[1:5].tolist() == [*found.tolist(), float(row[6]), float(row[3])]
            assert torch.equal(following[5:], memory[1:-4])


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("source", PATHS)
def test_without_a_memory_the_whole_path_is_searched(name: str, source: str) -> None:
    """By what is no number, or no possible way; and nothing was commanded before."""
    path = road(source)
    s = torch.linspace(0.1, path.length - 0.1, 10, dtype=torch.float64)
    rows = situations(path, 10)[0]
    rows[:, :2] = path.sample(s).position + 0.02
    expected = commands(NETWORKS[name](), path, rows)
    driver = driver_of(name, path)
    for row, command, way in zip(rows, expected, s, strict=True):
        for unknown in (math.nan, math.inf, 1e30):
            memory = torch.full((driver.memory_size,), unknown, dtype=torch.float64)
            found, following = driver(row, memory)
            assert float((found / FULL_SCALE - command).abs().max()) < 1e-9
            assert float(following[0]) == pytest.approx(float(way), abs=0.1)


def test_the_memory_goes_round_a_closed_path_and_on_beyond_an_open_one() -> None:
    """Within [0, length) of a loop, whose length is no digit lost; straight on otherwise."""
    for source, laps in (("circle", 2.5), ("slalom", 1.2)):
        path, driver = road(source), driver_of("trained", road(source), 32)
        memory = torch.tensor([math.nan])
        for s in torch.arange(0.0, laps * path.length, 0.5, dtype=torch.float64):
            point = path.sample(s)
            row = torch.tensor([*point.position.tolist(), float(point.heading), 3.0, 0.0, 0.0, 0.0])
            _, memory = driver(row, memory)
            whole = float(s) % path.length if path.closed else float(s)
            gap = abs(float(memory) - whole)
            assert min(gap, abs(gap - path.length)) < 1e-4


def test_a_state_that_is_no_number_commands_none() -> None:
    """It says so in every command, and finds the path again afterwards."""
    driver = driver_of("trained", road("slalom"))
    row, memory = situations(road("slalom"), 1)
    lost, nowhere = driver(torch.full_like(row[0], math.nan), memory[0])
    assert lost.isnan().all()
    assert driver(row[0], nowhere)[0].isfinite().all()


def test_the_driver_leaves_the_controller_as_it_was() -> None:
    """Its network is a copy, which needs no gradients."""
    network = NETWORKS["untrained"]()
    driver = driver_of("untrained", road("circle"), 32)
    assert {weight.dtype for weight in network.network.parameters()} == {torch.float64}
    assert all(weight.requires_grad for weight in network.network.parameters())
    assert not any(weight.requires_grad for weight in driver.parameters())
