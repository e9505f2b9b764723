"""`diffcar train-ppo`, as the terminal sees it."""

from diffcar.cli import options
from diffcar.cli.console import errors
from diffcar.cli.training import conclude, training_config, training_sink
from diffcar.training.ppo.config import TrainPPOConfig

__all__ = ["train_ppo"]


def train_ppo(
    path: options.PathSource = None,
    path_scale: options.PathScale = None,
    closed: options.Closed = None,
    actuation: options.ActuationOption = None,
    out: options.RunOut = None,
    resume: options.Resume = None,
    stop_after: options.StopAfter = None,
    config_file: options.ConfigFile = None,
    overrides: options.Overrides = None,
    seed: options.Seed = None,
    backend: options.BackendOption = None,
    precision: options.PrecisionOption = None,
    json_target: options.JsonTarget = None,
    verbose: options.Verbose = False,
    debug: options.Debug = False,
) -> None:
    """Train the same MLP by proximal policy optimisation, for comparison with train-e2e.

    The reward is minus the loss of train-e2e. Needs rsl-rl-lib: pip install 'rsl-rl-lib>=5,<6'.
    """
    with errors(debug):
        flags = options.config_flags(
            path,
            path_scale,
            closed,
            actuation,
            seed=seed,
            backend=backend,
            precision=precision,
            verbose=verbose,
        )
        config = training_config(
            TrainPPOConfig,
            "ppo",
            out=out,
            resume=resume,
            file=config_file,
            overrides=overrides,
            flags=flags,
        )
        sink = training_sink(json_target, config, config_file, resume)
        from diffcar.cli.progress import TrainingDisplay
        from diffcar.cli.render import show_training
        from diffcar.training.run import train

        with TrainingDisplay(config.train.num_updates) as display:
            result = train(
                "ppo",
                config,
                out=out,
                resume=resume,
                stop_after=stop_after,
                on_update=display.show,
            )
        show_training(result, sink.console())
        sink.write(result.as_json())
        conclude(result, config, "train-ppo", stop_after)
