"""What all scenes in Genesis share: steps, states on the graph, the way back through them."""

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Generic, TypeVar

import torch
from torch import Tensor

from diffcar.sim.backend import translated_errors

if TYPE_CHECKING:
    from genesis import Scene

__all__ = ["GenesisScene"]

StateT = TypeVar("StateT")


class GenesisScene(ABC, Generic[StateT]):
    """Parallel environments in a built Genesis scene (see `Scene` for the contract).

    A kind of scene adds what its state is and how it is placed.

    Args:
        scene: Built by Genesis.
        num_envs: Number of parallel environments.
        camera: What films the scene, if anything does.
    """

    def __init__(self, scene: "Scene", *, num_envs: int, camera: object = None) -> None:
        import genesis as gs

        self.scene = scene
        self.num_envs = num_envs
        self.camera = camera
        self.dt = float(scene.sim.dt)
        self.dtype: torch.dtype = gs.tc_float
        self.device: torch.device = gs.device
        self.differentiable = bool(scene.requires_grad)
        self.last_command: dict[str, Tensor] = {}
        """The tensors that Genesis was handed last, by what they command."""
        self._state: StateT | None = None
        self._is_taped = True

    def tensor(self, values: object) -> Tensor:
        """Return values in the scene's number format, on its device."""
        return torch.as_tensor(values, dtype=self.dtype, device=self.device)

    def zeros(self, *shape: int) -> Tensor:
        """Return zeros in the scene's number format, on its device."""
        return torch.zeros(shape, dtype=self.dtype, device=self.device)

    def read(self) -> StateT:
        """Return the present state; repeated reads between steps cost nothing."""
        if self._state is None:
            # After a step that was not taped there is no graph that a read could join.
            with torch.set_grad_enabled(torch.is_grad_enabled() and self._is_taped):
                self._state = self._read()
        return self._state

    def step(self) -> None:
        """Advance all environments by `dt`."""
        with translated_errors():
            self.scene.step()
        self._is_taped &= torch.is_grad_enabled()
        self._state = None

    def backward(self, loss: Tensor) -> None:
        """Backpropagate through the steps since the last reset; rewinds the simulator.

        Raises:
            SimulationError: If Genesis meets a gradient that is not a number.
        """
        with translated_errors():
            loss.backward()

    @abstractmethod
    def _read(self) -> StateT:
        """Read the state from Genesis."""

    def _rewind(self) -> None:
        """Go back to the first state and begin a new graph, also after a failed backward pass.

        A backward pass that meets a gradient that is not a number raises between switching the
        rigid solver to reverse and back. Genesis's own reset leaves it there: until a later
        backward pass succeeds, steps would move nothing, and gradients would be of that.
        """
        self.scene.sim.rigid_solver._is_backward = False
        self.scene.reset()
        self._is_taped = True
        self._state = None
