"""`diffcar compare`: is training through the physics worth it?"""

import json
import shlex
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from diffcar.base.config import load_config
from diffcar.base.errors import CheckpointError, ConfigError
from diffcar.base.files import json_text, make_folder, write_text
from diffcar.base.log import logger
from diffcar.base.settings_yaml import dump_config
from diffcar.comparison.config import CONFIG_FILE, CompareConfig, settings_file
from diffcar.comparison.driven import KeptDrives
from diffcar.comparison.results import Comparison
from diffcar.comparison.runs import FinishedRun, Runs, TrainingStopped
from diffcar.comparison.suite import Suite
from diffcar.controllers.choose import choose_controller
from diffcar.controllers.config import CONTROLLERS
from diffcar.path.config import DRAWN, PathConfig
from diffcar.path.reference import ReferencePath
from diffcar.sim.model.suited import suited
from diffcar.sim.model.vehicle import Vehicle
from diffcar.tasks.tracking.grip import load_road
from diffcar.tasks.tracking.metrics import lost_distance
from diffcar.tasks.tracking.scenes import Scenes
from diffcar.training.methods import METHODS, is_method
from diffcar.training.run import require_method
from diffcar.training.run_folder import RunFolder, make_own_folder, take_back
from diffcar.training.session import OnUpdate

__all__ = ["CompareResult", "compare"]

_LOADED_FILE = "loaded.json"


@dataclass
class CompareResult:
    """A comparison and where it lies."""

    folder: Path
    """Where everything was written."""
    comparison: Comparison
    """What was found."""
    is_interrupted: bool = False
    """Whether the user ended it before it was complete."""
    notes: list[str] = field(default_factory=list)
    """What the user should know about the paths."""
    wall_seconds: float = 0.0
    """Wall time of this session [s]."""


def compare(
    config: CompareConfig | None = None,
    *,
    out: Path | str | None = None,
    resume: Path | str | None = None,
    loaded: Mapping[str, Path | str] | None = None,
    on_update: OnUpdate = lambda event: None,
) -> CompareResult:
    """Train what is to be compared, drive it over the suite, and collect the figures.

    Args:
        config: The settings; None takes the defaults, or those of the comparison that is resumed.
        out: The folder of the comparison; None names one below `runs/`.
        resume: A comparison to go on with instead; what is trained or driven already stays.
        loaded: Runs by method that are taken as they are instead of trained.
        on_update: Called after each update and evaluation.

    Returns:
        The figures.

    Raises:
        DiffcarError: If a path, a model, a run or the configuration is unusable, a method's library
            is missing, or the simulator refuses.
    """
    began = time.perf_counter()
    if resume is not None and out is not None:
        raise ConfigError("a comparison that is resumed goes on in its own folder; drop `out`")
    home = Path(resume or out or "")
    begun_with = None if resume is None else settings_file(home)
    if config is None:
        config = load_config(CompareConfig, file=begun_with)
    scenes = Scenes(config)
    config = suited(config, scenes.vehicle)
    paths = _suite_paths(config, scenes.vehicle)
    earlier = {} if resume is None else _loaded_earlier(home)
    taken = earlier | {method: Path(run) for method, run in (loaded or {}).items()}
    _check_what_is_needed_later(config, taken, scenes.vehicle)
    if out is not None:
        RunFolder.require_free(home)
    was_there = resume is not None or (out is not None and home.exists())
    folder = home if resume or out else make_own_folder("compare")
    make_folder(folder)
    result = CompareResult(folder, Comparison(config.threshold))
    result.notes = [f"{path.name}: {warning}" for path in paths for warning in path.warnings]
    result.notes += _trained_on(config)
    with RunFolder(folder).locked():
        try:
            runs = Runs(config, folder, scenes, taken, on_update)
            runs.require_same_settings()
            _remember(folder, taken)
            text = dump_config(config)
            write_text(folder / CONFIG_FILE, text)
            again = f"diffcar compare --resume {shlex.quote(str(folder))}"
            logger.info(f"comparing in {folder}; if interrupted: {again}")
            finished = list(runs.train_all())
        except TrainingStopped:
            result.is_interrupted = True
            return result
        except Exception:  # whatever it is, it goes on up
            if resume is None:
                take_back(folder, (CONFIG_FILE, _LOADED_FILE), was_there=was_there)
            raise
        kept = KeptDrives(folder / "driven", config, scenes.vehicle)
        result.comparison = _compared(config, paths, finished, scenes.vehicle, kept)
        result.wall_seconds = time.perf_counter() - began
    return result


def _compared(
    config: CompareConfig,
    paths: Sequence[ReferencePath],
    finished: Sequence[FinishedRun],
    vehicle: Vehicle,
    kept: KeptDrives,
) -> Comparison:
    """Drive the runs over the suite, and collect what they did there."""
    suite = Suite(config, paths, vehicle, kept)
    scores, tracks = suite.scores(finished)
    return Comparison(
        threshold_m=config.threshold,
        runs=[own.run for own in finished],
        scores=scores,
        curves=suite.curves(finished),
        tracks=tracks,
        references={
            path.name: tuple(path.unshifted(path.samples[:, :2]).T.tolist()) for path in paths
        },
        lost_m=lost_distance(vehicle),
        grip=config.ranked_grip,
    )


def _loaded_earlier(folder: Path) -> dict[str, Path]:
    """Return the runs by method that an earlier session was given.

    Raises:
        CheckpointError: If their file is damaged.
    """
    file = folder / _LOADED_FILE
    if not file.is_file():
        return {}
    try:
        return {method: Path(run) for method, run in json.loads(file.read_text()).items()}
    except (OSError, ValueError, AttributeError, TypeError, RecursionError) as error:
        raise CheckpointError(f"{str(file)!r} is damaged: {error}", hint="remove it") from None


def _remember(folder: Path, loaded: Mapping[str, Path]) -> None:
    """Keep the runs that this session was given for the next one."""
    if loaded:
        runs = {method: str(run.resolve()) for method, run in loaded.items()}
        write_text(folder / _LOADED_FILE, json_text(runs))


def _check_what_is_needed_later(
    config: CompareConfig, loaded: Mapping[str, Path], vehicle: Vehicle
) -> None:
    """Complain now of what would otherwise be missed after hours of training."""
    for method, run in loaded.items():
        choice = choose_controller(str(RunFolder.open(run).path))
        wanted = METHODS[method].recorded_as
        trained_by = choice.checkpoint["method"] if choice.checkpoint else wanted
        if trained_by != wanted:
            raise ConfigError(
                f"--load {method}={run}: the run was trained by train-{trained_by}",
                hint=f"give one of train-{wanted}",
            )
        if differences := choice.differences(config):
            raise ConfigError(
                f"--load {method}={run}: {'; '.join(differences)}",
                hint="compare in the physics of that training, by --set",
            )
    for method in config.methods:
        if not is_method(method):
            if not hasattr(CONTROLLERS[method], "SEARCH"):
                raise ConfigError(
                    f"{method} has no parameters to tune, so it cannot be compared",
                    hint="leave it out, or give its class a SEARCH of ranges",
                )
            choose_controller(method).require_knowledge_of(vehicle)
        elif method not in loaded:
            require_method(METHODS[method])


def _suite_paths(config: CompareConfig, vehicle: Vehicle) -> list[ReferencePath]:
    """Load the paths of the suite, each under a name of its own.

    A road that is driven with several shares of the grip has one number.
    """
    paths, roads = [], defaultdict[str, list[PathConfig]](list)
    for index, settings in enumerate(config.suite.paths):
        path = load_road(settings, vehicle, seed=config.seed)
        road = settings.model_copy(update={"grip": None})
        roads_so_far = roads[path.name]
        if road not in roads_so_far or settings in config.suite.paths[:index]:
            roads_so_far.append(road)
            number = len(roads_so_far)
        else:
            number = roads_so_far.index(road) + 1
        at = "" if settings.grip is None else f" at {100 * settings.grip:g} %"
        paths.append(path.named(path.name + (f" #{number}" if number > 1 else "") + at))
    return paths


def _trained_on(config: CompareConfig) -> list[str]:
    """Tell which paths of the suite are trained on, and therefore say less."""

    def road(source: str, seed: int | None) -> tuple[str, int | None]:
        return source, seed if source in DRAWN else None

    seeds = config.seeds if config.path.seed is None else [config.path.seed]
    trained = {road(config.path.source, seed) for seed in seeds}
    return [
        f"{path.source} is in the suite, and trained on as well"
        for path in config.suite.paths
        if road(path.source, path.seed) in trained
    ]
