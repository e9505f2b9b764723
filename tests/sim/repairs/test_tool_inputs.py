"""The repairs of the tool: right where they apply, refused or left where Genesis has changed."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from diffcar.base.errors import SimulationError
from diffcar.gradients.certificate import attempt
from diffcar.sim import upstream
from diffcar.sim.repairs import svd_adjoint, tool_inputs, tool_shape
from diffcar.sim.soft_body import GenesisSoftBody
from diffcar.tasks.pushing.problem import input_problem


def as_genesis_comes(body: GenesisSoftBody, monkeypatch: pytest.MonkeyPatch) -> None:
    """Take the repair of the tool's inputs away for one test."""
    monkeypatch.delattr(body.tool, "process_input_grad")


@pytest.mark.genesis
@pytest.mark.parametrize("horizon", [5, 10, 30])
def test_velocities_of_every_step_have_the_right_gradient(
    soft_body: GenesisSoftBody, horizon: int
) -> None:
    """Repaired, they agree with central differences."""
    check = attempt(input_problem(soft_body, "tool velocity", horizon))
    assert check.verdict == "right", check
    assert check.summary.worst_relative_error <= 1e-5
    summary = check.summary
    assert summary.num_kinks < summary.num_directions


@pytest.mark.genesis
@pytest.mark.parametrize("name", ["tool angular velocity", "tool position", "tool orientation"])
def test_other_inputs_of_every_step_have_the_right_gradient(
    soft_body: GenesisSoftBody, name: str
) -> None:
    """They share the fault and the repair."""
    check = attempt(input_problem(soft_body, name, 3))
    assert check.verdict == "right", check


@pytest.mark.genesis
@pytest.mark.parametrize(
    "name", ["tool velocity", "tool angular velocity", "tool position", "tool orientation"]
)
def test_without_the_repair_every_input_is_caught(
    soft_body: GenesisSoftBody, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The fault that the repair is for exists, and is not small."""
    as_genesis_comes(soft_body, monkeypatch)
    check = attempt(input_problem(soft_body, name, 3))
    assert check.verdict == "wrong"
    assert check.summary.worst_relative_error > 0.1


@pytest.mark.genesis
def test_an_input_without_gradients_cuts_the_past_off_as_well(soft_body: GenesisSoftBody) -> None:
    """A tracked velocity that a plain one overwrites before the only contact has no gradient."""
    tracked = soft_body.zeros(soft_body.num_envs, 3).requires_grad_()
    push = torch.tensor([0.8, 0.0, 0.0]).to(tracked).expand(soft_body.num_envs, 3)
    beside = soft_body.rest_tool_position.expand_as(push)
    start = soft_body.resting_start()
    soft_body.reset(replace(start, tool_position=start.tool_position - 0.3 * push))
    soft_body.apply(tracked)
    soft_body.step()
    for _ in range(2):
        soft_body.move_tool(velocity=push, position=beside)
        soft_body.step()
    centroid = soft_body.read().centroid
    assert float(centroid.detach()[0, 0]) > 1e-4
    soft_body.backward(centroid.sum())
    assert torch.equal(tracked.grad, torch.zeros_like(tracked))


@pytest.mark.genesis
def test_the_tool_collides_where_it_shows(soft_body: GenesisSoftBody) -> None:
    """A face of the tool lies where its distance field is zero."""
    mesh = soft_body.tool.mesh
    face = np.array([float(np.max(mesh.raw_vertices)), 0.0, 0.0, 1.0])
    voxel = (mesh.T_mesh_to_sdf.to_numpy() @ face)[:3]
    low = int(voxel[0])
    middle = mesh.sdf_voxels_np.shape[0] // 2
    distances = mesh.sdf_voxels_np[low : low + 2, middle, middle]
    share = voxel[0] - low
    assert (1 - share) * distances[0] + share * distances[1] == pytest.approx(0.0, abs=1e-9)


@pytest.mark.genesis  # which takes longest to import
@pytest.mark.parametrize(
    ("repair", "stranger", "lacks"),
    [
        (tool_inputs.repair_tool_inputs, SimpleNamespace(_sim=None), "set_frame_add_grad_vel"),
        (tool_shape.repair_tool_shape, SimpleNamespace(mesh=SimpleNamespace()), "T_mesh_to_sdf"),
        (svd_adjoint.repair_svd_adjoint, SimpleNamespace(), "svd_grad"),
    ],
)
def test_another_genesis_is_refused(repair: object, stranger: object, lacks: str) -> None:
    """Without the attributes that a repair rests on there is an error that names them."""
    with pytest.raises(SimulationError, match=lacks) as raised:
        repair(stranger)
    assert "1.4.5" in raised.value.hint


@pytest.mark.genesis
def test_a_mended_genesis_is_left_alone(
    soft_body: GenesisSoftBody, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The repairs step aside, and say so, where Genesis's own functions have changed."""
    upstream.note.cache_clear()
    as_genesis_comes(soft_body, monkeypatch)
    monkeypatch.setattr(tool_inputs, "_KNOWN_INPUT_GRAD", "another")
    monkeypatch.setattr(svd_adjoint, "_KNOWN_ADJOINT", "another")
    assert not tool_inputs.repair_tool_inputs(soft_body.tool)
    assert "tool inputs" in caplog.text
    assert "process_input_grad" not in vars(soft_body.tool)
    assert not svd_adjoint.repair_svd_adjoint(soft_body.scene.sim.mpm_solver)
    assert "corotated stress" in caplog.text
