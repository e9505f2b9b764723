"""The runs of a comparison: trained, tuned or loaded, each in a folder of its own."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pydantic
from pydantic import Field

from diffcar.base.config import load_config
from diffcar.base.errors import CheckpointError
from diffcar.base.files import digests, make_folder, write_text
from diffcar.base.log import logger
from diffcar.base.section import first_problem
from diffcar.comparison.config import CompareConfig
from diffcar.comparison.results import Run
from diffcar.controllers.checkpoint import config_values, load_checkpoint, restore_network
from diffcar.controllers.choose import ControllerChoice, choose_controller
from diffcar.controllers.config import ControllerConfig
from diffcar.controllers.mlp import MLPController
from diffcar.sim.config import CarConfig
from diffcar.sim.model.suited import suited
from diffcar.tasks.tracking.config import TrainingConfig
from diffcar.tasks.tracking.grip import load_road
from diffcar.tasks.tracking.metrics import CARS_EACH
from diffcar.tasks.tracking.scenes import Scenes
from diffcar.training.bc.config import CloneConfig
from diffcar.training.methods import METHODS, Method, is_method
from diffcar.training.resuming import require_same_files, require_same_settings
from diffcar.training.run import require_method
from diffcar.training.run_folder import RunFolder
from diffcar.training.session import OnUpdate, TrainingSession
from diffcar.training.tuning import Generation, tune

__all__ = ["FinishedRun", "RunController", "Runs", "Snapshot", "TrainingStopped"]

_NUM_EVALUATION_CARS = 16
_NEVER = 1_000_000
_TUNING_FILE = "tuning.json"
# Settings of the road and the cars on it, which all runs share.
_SHARED = (*CarConfig.model_fields, "path")


class TrainingStopped(Exception):  # noqa: N818 - it is no error
    """The user has ended a training before its last update."""


@dataclass(frozen=True)
class RunController:
    """What drives for a run: a network, or a classical controller with parameters of its own."""

    kind: str
    """What controllers must have in common to be computed together."""
    network: MLPController | None = None
    """The weights of a network."""
    config: ControllerConfig | None = None
    """What a network sees."""
    parameters: Mapping[str, float] = field(default_factory=dict)
    """Those of a classical controller, whose name is the kind."""


@dataclass(frozen=True)
class Snapshot:
    """What drove for a run on the way there."""

    iteration: int
    """Updates, passes or generations so far."""
    train_seconds: float
    """Wall time so far [s]."""
    num_env_steps: int
    """Control steps so far."""
    controller: RunController
    """What drove then."""


@dataclass(frozen=True)
class FinishedRun:
    """A run, what drives for it, and what did on the way."""

    run: Run
    """What it was, and what it cost."""
    controller: RunController
    """What drives for it."""
    snapshots: list[Snapshot]
    """What did on the way, the earliest first."""


@dataclass
class Runs:
    """Trains, tunes or loads what a comparison compares, or takes up what an earlier session did.

    Args:
        config: The comparison's settings.
        folder: Of the comparison; runs lie below it.
        scenes: Cars that all of them share.
        loaded: Runs by method that are taken as they are instead of trained.
        on_update: Told of every update and evaluation.
    """

    config: CompareConfig
    folder: Path
    scenes: Scenes
    loaded: Mapping[str, Path]
    on_update: OnUpdate

    def train_all(self) -> Iterator[FinishedRun]:
        """Train, tune or load the runs one after the other, those that imitate others last.

        Raises:
            TrainingStopped: If the user ends one early.
            DiffcarError: If something in one fails.
        """
        for method in sorted(self.config.methods, key=_imitates):
            if method in self.loaded:
                yield self._finished(self.loaded[method], method, self.config.seeds[0])
                continue
            for seed in self.config.seeds:
                run = self._trained if is_method(method) else self._tuned
                yield run(self._home(method, seed), method, seed)

    def require_same_settings(self) -> None:
        """Refuse to go on with runs that were begun with other settings; builds nothing.

        Raises:
            ConfigError: With the keys that differ.
        """
        for method in self.config.methods:
            for seed in self.config.seeds if method not in self.loaded else ():
                home = self._home(method, seed)
                if not is_method(method) and (home / _TUNING_FILE).is_file():
                    stored = _read_tuning(home / _TUNING_FILE)
                    tuned = load_config(CompareConfig, base=self._tuning_settings(seed))
                    before = load_config(CompareConfig, base=stored.settings)
                    require_same_settings(home, before, tuned)
                    if stored.inputs is not None:
                        require_same_files(stored.inputs, self._tuning_inputs())
                elif is_method(method) and (home / "checkpoints" / "last.pt").is_file():
                    wanted = self._settings(METHODS[method], seed)
                    begun_with = load_config(type(wanted), file=home / "config.yaml")
                    require_same_settings(home, begun_with, wanted)

    def _trained(self, home: Path, method: str, seed: int) -> FinishedRun:
        """Train a network, from where an earlier session left it."""
        how = METHODS[method]
        options = {} if how.expert is None else {"expert": self._expert(how.expert, seed)}
        trainer = require_method(how)(self._settings(how, seed), scenes=self.scenes, **options)
        is_new = not (home / "checkpoints" / "last.pt").is_file()
        # An earlier session may have been ended between making the folder and its first checkpoint.
        folder = RunFolder.make(home) if is_new else RunFolder.open(home)
        with folder.locked():
            trainer.begin(folder)
            session = TrainingSession(
                folder, trainer, method=how.recorded_as, on_update=self.on_update
            )
            if is_new:
                folder.write_config(trainer.config)
            else:
                session.restore()
            if not trainer.is_finished:
                logger.info(f"training {method}, seed {seed}")
                outcome = session.train()
                if outcome.is_interrupted or not trainer.is_finished:
                    raise TrainingStopped
        return self._finished(home, method, seed)

    def _finished(self, home: Path, method: str, seed: int) -> FinishedRun:
        """Return what a finished training came to."""
        snapshots = []
        for file in sorted((home / "checkpoints").glob("at-*.pt")):
            if (number := file.stem.removeprefix("at-")).isdecimal():  # or somebody's copy
                then = load_checkpoint(file)
                cost = (then["train_seconds"], then["num_env_steps"])
                snapshots.append(Snapshot(int(number), *cost, self._network(then)))
        last = RunFolder.open(home).last
        run = Run(method, seed, str(home), last["train_seconds"], last["num_env_steps"])
        return FinishedRun(run, self._network(load_checkpoint(home)), snapshots)

    def _network(self, checkpoint: Mapping[str, Any]) -> RunController:
        """Return the network of a checkpoint, in the number format of the scenes."""
        config = ControllerConfig.model_validate(config_values(checkpoint)["controller"])
        scene = self.scenes.cars(_NUM_EVALUATION_CARS, purpose="evaluation")
        network = restore_network(checkpoint, config).to(dtype=scene.dtype, device=scene.device)
        return RunController(config.model_dump_json(), network, config)

    def _tuned(self, home: Path, method: str, seed: int) -> FinishedRun:
        """Search a classical controller's parameters, or read those that were found earlier."""
        file = home / _TUNING_FILE
        if not file.is_file():
            logger.info(f"tuning {method}, seed {seed}")
            generations = [asdict(generation) for generation in self._search(method, seed)]
            make_folder(home)
            content = {
                "settings": self._tuning_settings(seed),
                "inputs": self._tuning_inputs(),
                "generations": generations,
            }
            write_text(file, json.dumps(content, indent=2) + "\n")  # where an error may be infinite
        snapshots = [
            Snapshot(
                g.number, g.seconds, g.num_env_steps, RunController(method, parameters=g.parameters)
            )
            for g in _read_tuning(file).generations
        ]
        last = snapshots[-1]
        parameters = last.controller.parameters.items()
        source = ", ".join(f"{name} {value:.4g}" for name, value in parameters)
        run = Run(method, seed, source, last.train_seconds, last.num_env_steps)
        return FinishedRun(run, last.controller, snapshots)

    def _tuning_settings(self, seed: int) -> dict[str, object]:
        """Return what a search depends on."""
        return self.config.model_dump(mode="json", include={*_SHARED, "tuning"}) | {"seed": seed}

    def _tuning_inputs(self) -> tuple[tuple[str, str], ...]:
        """Return name and digest of each file that a search depends on."""
        return digests(filter(None, [self.config.path.file])) + self.scenes.vehicle.files

    def _search(self, method: str, seed: int) -> Iterator[Generation]:
        """Search on the training path of a seed."""
        scene = self.scenes.cars(CARS_EACH * self.config.tuning.num_candidates)
        path = load_road(self.config.path, self.scenes.vehicle, seed=seed)
        path = path.to(scene.dtype, scene.device)
        return tune(method, scene, path, self.config.tuning, seed=seed)

    def _expert(self, name: str, seed: int) -> ControllerChoice:
        """Return the expert that was loaded, or trained or tuned with the same seed."""
        home = self.loaded.get(name, self._home(name, seed))
        if is_method(name):
            return choose_controller(str(home))
        file = home / _TUNING_FILE
        if not file.is_file():
            return choose_controller(name)
        return ControllerChoice(name, parameters=_read_tuning(file).generations[-1].parameters)

    def _settings(self, how: Method, seed: int) -> TrainingConfig:
        """Return a training's settings: what the comparison shares, and what is its own."""
        config, schema = self.config, how.config["tracking"]
        train = getattr(config, how.section).model_copy(update=dict(how.overrides))
        if isinstance(train, CloneConfig):
            # Each round has as many passes as a training without DAgger.
            num_passes = train.num_updates * (train.dagger_rounds + 1)
            train = train.model_copy(update={"num_updates": num_passes})
        evaluation = schema.model_fields["evaluation"].default.model_copy(
            update={
                "interval": _NEVER,
                "also_after": _spread(train.most_updates, config.num_snapshots),
                "num_envs": _NUM_EVALUATION_CARS,
                "unseen_paths": [],
                "keep_snapshots": True,
            }
        )
        values = {name: getattr(config, name) for name in (*_SHARED, "start", "controller")}
        values |= {"loss": config.loss, "seed": seed, "train": train, "evaluation": evaluation}
        if how.expert is not None:
            values |= {"expert": how.expert, "demonstrations": config.demonstrations}
        settings: TrainingConfig = schema(**values)
        return suited(settings, self.scenes.vehicle)

    def _home(self, method: str, seed: int) -> Path:
        """Return the folder of a run that is not loaded."""
        return self.folder / f"{method}-{seed}"


def _imitates(method: str) -> bool:
    """Tell whether a method needs an expert, which is then trained before it."""
    return is_method(method) and METHODS[method].expert is not None


def _spread(num_updates: int, num_snapshots: int) -> list[int]:
    """Return updates that are spread evenly over the logarithm of the cost."""
    spread = np.geomspace(1, num_updates, num_snapshots)
    return sorted({int(update) for update in np.rint(spread)})


class _Tuning(pydantic.BaseModel):
    """What an earlier search has found."""

    settings: dict[str, Any]
    generations: Annotated[list[Generation], Field(min_length=1)]
    """Round by round."""
    inputs: list[tuple[str, str]] | None = None
    """Name and digest of each file; diffcar 0.1.0 kept none."""


def _read_tuning(file: Path) -> _Tuning:
    """Read the file of an earlier search.

    Raises:
        CheckpointError: If it is damaged.
    """
    try:
        return _Tuning.model_validate_json(file.read_bytes())
    except (OSError, pydantic.ValidationError) as error:
        raise CheckpointError(
            f"{str(file)!r} is damaged: {first_problem(error)}", hint="remove it to search anew"
        ) from None
