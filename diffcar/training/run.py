"""The one way to train: by any method, for any task, in a run folder that can be resumed."""

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from diffcar.base.config import load_config
from diffcar.base.errors import CheckpointError, ConfigError, SimulationError
from diffcar.base.files import Unwritten, json_text, kept, plain_values, write_text
from diffcar.base.log import logger
from diffcar.base.registry import import_attribute
from diffcar.controllers.checkpoint import PHYSICS, as_carried, config_values, identity
from diffcar.gradients.hops import Hop, trace_hops
from diffcar.sim.config import CarConfig
from diffcar.sim.model.read import car_of
from diffcar.sim.model.suited import suited
from diffcar.tasks.config import BackpropConfig
from diffcar.tasks.contract import Task, TaskConfig
from diffcar.tasks.registry import TASKS
from diffcar.training.contract import Trainer
from diffcar.training.methods import METHODS, Method, resume_hint
from diffcar.training.resuming import MAY_CHANGE, require_same_settings
from diffcar.training.run_folder import RunFolder, plot_training, take_back
from diffcar.training.session import OnUpdate, SessionOutcome, TrainingSession
from diffcar.training.short_certificate import (
    SHORT_HORIZON,
    ShortCertificate,
    certify_before_training,
)

__all__ = ["TrainingResult", "require_method", "stored_config", "train"]


# What lies in a run folder before its first checkpoint.
_MADE_AT_FIRST = ("checkpoints", "plots", "tensorboard", "demonstrations-*.csv")


@dataclass
class TrainingResult:
    """What a training run came to, by whatever method and for whatever task."""

    run_folder: Path
    """Where everything was written."""
    num_updates: int = 0
    """Updates done in all, earlier sessions included."""
    num_skipped: int = 0
    """Updates of this session that were skipped for non-finite numbers."""
    num_env_steps: int = 0
    """Control steps of all environments that training has used in all."""
    is_interrupted: bool = False
    """Whether it was stopped before the last update."""
    is_good_enough: bool = False
    """Whether it has ended because an evaluation found the task done."""
    before: Any = None
    """Metrics before the first update of this session."""
    after: Any = None
    """Metrics with the best weights; None where it was stopped."""
    losses: list[float] = field(default_factory=list)
    """Loss of each update of this session."""
    train_seconds: float = 0.0
    """Wall time of the updates and evaluations of this session [s]."""
    wall_seconds: float = 0.0
    """Wall time of the whole session, imports left out [s]."""
    warnings: tuple[str, ...] = ()
    """What the user should know about what was driven."""
    certificate: ShortCertificate | None = None
    """The check of the gradients before this session; None where it was left out."""
    hops: list[Hop] = field(default_factory=list)
    """Gradient status from the network's output to the loss and its weights."""
    findings: dict[str, Any] = field(default_factory=dict)
    """What method and task have to say besides, by its key in JSON."""
    unwritten: Unwritten = field(default_factory=dict)
    """Files that could not be written, and why."""
    task: Any = None
    """What was trained for: where training is over, its network has the best weights."""

    def as_json(self) -> dict[str, object]:
        """Return the result as plain values, findings among the others."""
        own = dict(vars(self))
        del own["task"], own["unwritten"]
        findings = own.pop("findings")
        if "errors_in_training" in findings:
            before = [] if self.certificate is None else self.certificate.relative_errors
            findings = {"errors_before_training": before, **findings}
        values = plain_values(own | findings)
        assert isinstance(values, dict)
        return values


def train(
    method: str,
    config: TaskConfig | None = None,
    *,
    task: str = "tracking",
    out: Path | str | None = None,
    resume: Path | str | RunFolder | None = None,
    stop_after: int | None = None,
    certify: bool = True,
    scenes: Any = None,  # noqa: ANN401
    on_update: OnUpdate = lambda event: None,
) -> TrainingResult:
    """Train a controller and leave a run folder behind.

    Args:
        method: A name of `METHODS`, such as `e2e`, `bc` or `ppo`, or `package.module:METHOD`.
        config: The settings; None takes the defaults, or those of the run that is resumed.
        task: A name of `TASKS`, for defaults; settings are those of a task.
        out: The run folder; None names one below `runs/`.
        resume: A run to go on with instead.
        stop_after: Updates after which this session stops, as if interrupted.
        certify: Whether a method that goes through the physics has its gradients checked first.
        scenes: What there is already of the task's scenes; None builds them.

    Raises:
        DiffcarError: If configuration, path, model, data or checkpoint is unusable, the simulator
            refuses, the gradient is wrong, or it stays non-finite.
    """
    began = time.perf_counter()
    how = METHODS[method]
    if not isinstance(how, Method):
        raise METHODS.refusal(method, how)
    task = task if config is None else config.task
    _require_possible(how, task)
    if resume is not None and out is not None:
        raise ConfigError("a run that is resumed goes on in its own folder; drop `out`")
    folder = resume if isinstance(resume, RunFolder | None) else RunFolder.open(Path(resume))
    if folder is None:
        if out is not None:
            RunFolder.require_free(Path(out))
        config = config or load_config(how.config[task])
    else:
        _require(folder, how, task)
        begun_with = _begun_with(how, task, folder)
        config = as_carried(folder.last, config or begun_with)
        # What the user has not set, a clone takes from its expert.
        open_yet = set(PHYSICS) - getattr(config, "model_fields_set", set())
        wanted = _suited_as(config, begun_with, open_yet)
        require_same_settings(folder.path, begun_with, wanted, MAY_CHANGE | open_yet)
    trainer = require_method(how)(config, scenes=scenes)
    must_certify, is_new = certify and how.through_physics, folder is None
    certificate = _certify(trainer) if must_certify and is_new else None
    # Made only now, so that a scene that cannot be built leaves no folder in the way.
    name = trainer.task.folder or how.command or how.name
    was_there = out is not None and Path(out).exists()
    folder = folder or RunFolder.create(None if out is None else Path(out), name)
    with folder.locked():
        if not is_new:  # another process may have gone on with it meanwhile
            again = _begun_with(how, task, folder)
            require_same_settings(folder.path, again, trainer.config, MAY_CHANGE)
        try:
            trainer.begin(folder)
            session = TrainingSession(folder, trainer, method=how.recorded_as, on_update=on_update)
            if is_new:
                session.save()
        except BaseException:  # whatever it is, it goes on up
            if is_new:
                take_back(folder.path, _MADE_AT_FIRST, was_there=was_there)
            raise
        if not is_new:
            session.restore()
            if must_certify:  # with the weights that training goes on with
                certificate = _certify(trainer)
        folder.write_config(trainer.config)
        if certificate is not None:
            file = folder.path / "certificate.json"
            if file.exists():  # that of an earlier session stays
                file = file.with_stem(f"certificate-{trainer.num_updates_done:06d}")
            write_text(file, json_text(asdict(certificate)))
        trainer.task.prepare()
        outcome = session.train(stop_after)
        hops = _hops(trainer.task) if how.through_physics else []  # with the last weights
        result = _conclude(session, outcome)
    result.certificate, result.hops = certificate, hops
    result.wall_seconds = time.perf_counter() - began
    return result


def require_method(how: Method) -> Callable[..., Trainer]:
    """Return what makes the trainer of a method, whose package must be installed."""
    try:
        return import_attribute(how.trainer)
    except ModuleNotFoundError as error:
        if how.requires is None:
            raise
        raise ConfigError(
            f"{how.name} needs {how.requires}, and {error.name!r} is not installed",
            hint=f"pip install {how.requires!r}, or leave it out of a comparison: "
            "--set 'methods=[e2e, stanley]'",
        ) from None


def stored_config(folder: RunFolder, method: str, task: str) -> dict[str, Any]:
    """Return the settings of a run that is to go on, which must be of that method and task."""
    _require(folder, METHODS[method], task)
    return config_values(folder.last)


def _certify(trainer: Trainer) -> ShortCertificate:
    """Check the gradients of what is about to be trained."""
    assert isinstance(trainer.config.train, BackpropConfig)
    problem = trainer.task.problem(min(trainer.config.train.horizon, SHORT_HORIZON))
    return certify_before_training(problem, num_updates=trainer.num_updates_done)


def _hops(task: Task[Any, Any]) -> list[Hop]:
    """Follow the gradient from the loss to the weights; the training is done if that fails."""
    try:
        return trace_hops(task.network, task.trace, task.backward, output=task.output)
    except SimulationError as error:
        logger.warning(f"the gradient could not be followed to the weights: {error}")
        return []


def _require_possible(how: Method, task: str) -> None:
    """Refuse what a method cannot do, before anything is built."""
    if how.expert is not None:
        raise ConfigError(
            f"{how.name} imitates {how.expert}, which a comparison trains first",
            hint="call compare(), or train('bc', config) with a run as config.expert",
        )
    if task in TASKS and task not in how.config:
        raise ConfigError(
            f"{how.name} does not train for the task {task!r}",
            hint=f"it trains for {', '.join(how.config)}",
        )


def _require(folder: RunFolder, how: Method, task: str) -> None:
    """Refuse a run that another command wrote."""
    written_by = identity(folder.last)
    if written_by != (how.recorded_as, task):
        raise CheckpointError(
            "this run is of the method {!r} for the task {!r}, and goes on as that alone".format(
                *written_by
            ),
            hint=resume_hint(*written_by, folder.path),
        )


def _begun_with(how: Method, task: str, folder: RunFolder) -> TaskConfig:
    """Return the settings of a run that is resumed."""
    config: TaskConfig = load_config(how.config[task], base=config_values(folder.last))
    return config


def _suited_as(config: TaskConfig, begun_with: TaskConfig, open_yet: set[str]) -> TaskConfig:
    """Return settings of a car as they suit the one that a run was begun with."""
    if not isinstance(config, CarConfig):
        return config
    own = config.model_copy(update={name: getattr(begun_with, name) for name in open_yet})
    return suited(own, car_of(own))


def _conclude(session: TrainingSession, outcome: SessionOutcome) -> TrainingResult:
    """Collect what a session did and, after the last update, how good the best weights are."""
    trainer, folder = session.trainer, session.folder
    result = TrainingResult(
        folder.path,
        num_updates=trainer.num_updates_done,
        num_skipped=sum(update.is_skipped for update in outcome.updates),
        num_env_steps=trainer.num_env_steps,
        is_interrupted=not trainer.is_finished,
        is_good_enough=trainer.is_good_enough,
        before=outcome.before,
        losses=[update.loss for update in outcome.updates],
        train_seconds=outcome.seconds,
        warnings=trainer.task.warnings,
        findings=trainer.findings(outcome.updates),
        task=trainer.task,
    )
    if trainer.is_finished:
        result.after = session.take_best_weights()
        result.findings |= trainer.task.finish(folder.plots)
        result.unwritten |= result.findings.pop("unwritten", {})
    file = folder.plots / "training.png"
    with kept(result.unwritten, file):
        plot_training(folder.metrics_file, file, trainer.task.metric)
    return result
