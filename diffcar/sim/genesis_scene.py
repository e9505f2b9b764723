"""What all scenes in Genesis share: steps, states on the graph, the way back through them."""

import contextlib
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import torch
from torch import Tensor

from diffcar.sim.backend import initialise, translated_errors
from diffcar.sim.config import EngineConfig
from diffcar.sim.fast_paths import Undo
from diffcar.sim.fast_paths.narrow_phase import narrow_phase_of_spheres
from diffcar.sim.model.model_file import quiet_mujoco
from diffcar.sim.repairs.control_tape import repair_control_tape
from diffcar.sim.startup import quick_frame_info, save_kernels, without_collections
from diffcar.sim.window import keep_going_when_closed, window_options

if TYPE_CHECKING:
    from genesis import Scene

__all__ = ["GenesisScene"]

StateT = TypeVar("StateT")


class GenesisScene(ABC, Generic[StateT]):
    """Parallel environments in Genesis (see `Scene` for the contract).

    A kind of scene adds what is in it, what its state is and how it is placed.
    """

    @contextlib.contextmanager
    def _building(
        self,
        config: EngineConfig,
        num_envs: int,
        differentiable: bool,
        *,
        rigid: Mapping[str, Any] | None = None,
        mpm: Mapping[str, Any] | None = None,
        view: tuple[float, float, float] = (1.5, -1.1, 0.9),
    ) -> Iterator["Scene"]:
        """Open Genesis's own scene, which is built when all entities have been added to it.

        `rigid` are further options of its rigid solver, `mpm` those of its MPM solver; a window
        looks from `view`.
        """
        gs = initialise(config)
        window: dict[str, Any] = {"show_viewer": False}
        # Genesis shows one scene alone: the first of a command.
        if config.viewer and not gs._scene_registry:
            window = window_options(view, is_paced=not differentiable)
        # The gradient is that of the converged solution, so differences need a converged one, too.
        # At 1e-10 a friction cone's edge within 1e-5 of letting go was still on the wrong side.
        exact = {"iterations": 50, "tolerance": 1e-14} if config.precision == 64 else {}
        rigid = {"enable_self_collision": False, **(rigid or {}), **exact}
        # The first scene loads what is left of Genesis.
        with translated_errors(), quiet_mujoco(), without_collections(), quick_frame_info():
            self.scene: Scene = gs.Scene(
                **window,
                sim_options=gs.options.SimOptions(
                    dt=config.dt, substeps=config.substeps, requires_grad=differentiable
                ),
                rigid_options=gs.options.RigidOptions(**rigid),
                mpm_options=gs.options.MPMOptions(**mpm) if mpm else None,
            )
            yield self.scene
            with narrow_phase_of_spheres():
                self.scene.build(n_envs=num_envs)
            if self.scene.visualizer.viewer is not None:
                keep_going_when_closed(self.scene)
        save_kernels()
        for entity in self.scene.sim.rigid_solver.entities if differentiable else ():
            if entity.n_dofs:
                # Not a matter of right or wrong: it lets control be written under `torch.no_grad`.
                repair_control_tape(entity, with_targets=False)
        self.num_envs = num_envs
        self.dt = config.dt
        self.dtype: torch.dtype = gs.tc_float
        self.device: torch.device = gs.device
        self.differentiable = differentiable
        self.last_command: dict[str, Tensor] = {}
        """The tensors that Genesis was handed last, by what they command."""
        self.fast_paths: dict[str, Undo] = {}
        """Those taken through the backward pass, and what gives each up (see `fast_paths`)."""
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
        # What was kept of the steps before, which of a long drive is much.
        solver = self.scene.sim.rigid_solver
        for keeper in (solver, *solver.entities):
            keeper._ckpt.clear()
        self._is_taped = True
        self._state = None
