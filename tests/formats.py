"""What users' scripts read: the keys of JSON files, the columns of CSV files, a run's files.

Something that is added is added here, too; something that is renamed breaks what others have built.
"""

from collections.abc import Iterator
from typing import Any

from diffcar.controllers.config import ControllerConfig
from diffcar.controllers.observation import PathObserver


def differing(value: Any, command: str) -> list[str]:
    """Return what keys a command's JSON lacks, or has beyond those that are listed.

    Keys of nested values have dots between, those of a list's entries stand for all of them.
    """

    def below(inner: Any, at: str) -> Iterator[str]:
        if isinstance(inner, dict):
            for key, own in inner.items():
                yield f"{at}{key}"
                if f"{at}{key}" not in NAMED_BY_USERS:
                    yield from below(own, f"{at}{key}.")
        elif isinstance(inner, list):
            for own in inner:
                yield from below(own, at)

    return sorted(set(below(value, "")) ^ JSON[command])


NAMED_BY_USERS = ("summaries", "verdicts")
"""Their keys are methods, engines and conditions."""


def _named(*texts: str) -> list[str]:
    """Return the names in some texts."""
    return " ".join(texts).split()


def _at(place: str, names: str) -> set[str]:
    """Return a key and those below it."""
    return {place, *(f"{place}.{name}" for name in _named(names))}


_ERRORS = """
    cross_track_rmse_m cross_track_mean_m cross_track_p95_m cross_track_max_m heading_rmse_rad
    speed_rmse_mps steering_rate_rms_radps
"""
_TRACKING = f"{_ERRORS} completion got_going"
_PATH = "path path_length_m path_is_loop path_columns path_origin_m path_origin_deg"
_OBSERVED = " ".join(f"obs_{name}" for name in PathObserver.names(ControllerConfig()))
_EVALUATED = " ".join(f"eval_{name}" for name in _named(_TRACKING))
_DRIVEN = f"{_TRACKING} num_steps sim_seconds wall_seconds arrival_s grip_used_p95"
_SIMULATED = _named("controller start skip_distance_m engine notes reference_s", _PATH, _DRIVEN)
_TRAINED = {
    *_named("run_folder num_updates num_skipped num_env_steps is_interrupted"),
    *_named("is_good_enough losses warnings"),
    *_named("train_seconds wall_seconds certificate hops"),
    *_at("before", _TRACKING),
    *_at("after", _TRACKING),
}
_CAR = """
    mass_kg chassis_mass_kg front_load inertia_kgm2 centre_of_mass_m base_height_m wheelbase_m
    track_m rear_axle_x_m wheel_radius_m wheel_inertia_kgm2 friction max_joint_angle_rad
    max_steering_rad steering_gain max_steering_torque_nm drive torque_split drive_gain
    max_drive_torque_nm max_wheel_speed_radps
"""
_PLACE = "method seed engine condition path grip"
_FIGURES = "cross_track_rmse_m cross_track_max_m speed_rmse_mps"
_FURTHER = "cross_track_p95_m time_over_profile"
_CURVE = "method seed iteration train_seconds num_env_steps cross_track_rmse_m"
_CERTIFICATE = """
    verdict num_updates horizon tolerance num_directions num_kinks median_relative_error
    worst_relative_error relative_errors seconds
"""
_HOP = "name kind shape dtype requires_grad grad_fn gradient_norm"
_CHECKED = "num_directions num_kinks median_relative_error worst_relative_error"
_DIRECTION = """
    analytic_gradient numeric_gradient relative_error step_size uncertainty is_kink
"""
_PUSHING = """
    cross_track_rmse_m cross_track_p95_m cross_track_max_m progress_rmse_m distance_m
    target_distance_m
"""
_PUSHED = ("before", "after", "scores.before", "scores.after")
JSON: dict[str, set[str]] = {
    "train-e2e": {
        *_TRAINED,
        *_at("hops", _HOP),
        *_at("scores", "path start metrics"),
        *_at("scores.metrics", _TRACKING),
        *_at("certificate", _CERTIFICATE),
        *_named(
            "worst_gradient_error errors_before_training errors_in_training skip_distance_m "
            "num_checks_without_verdict"
        ),
    },
    "train-bc": {
        *_TRAINED,
        *_named("scores skip_distance_m num_rows num_skipped_rows validation_loss notes"),
    },
    "train-ppo": {*_TRAINED, "scores", "skip_distance_m"},
    "simulate": set(_SIMULATED),
    "simulate in mujoco": {
        *_SIMULATED,
        *_at("genesis", _DRIVEN),
        *_at("difference_percent", _TRACKING),
    },
    "export": {
        *_named("folder controller precision path path_length_m network_rmse_m tolerance notes"),
        "agrees",
        *_at(
            "formats",
            "format files size_bytes steering_difference_rad speed_difference_mps "
            "difference_share call_seconds cross_track_rmse_m agrees",
        ),
    },
    "record": {
        *_named("file expert num_rows num_episodes num_noisy_episodes", _PATH),
        *_named("num_lost_episodes episode_seconds recorded_seconds noisy_row_share notes"),
        *_named("skip_distance_m wall_seconds got_going", _ERRORS),
        *(f"noisy_{name}" for name in _named("got_going", _ERRORS)),
    },
    "train-e2e --entity mpm": {
        *_named("run_folder num_updates num_skipped num_env_steps is_interrupted"),
        *_named("is_good_enough losses warnings"),
        *_named("train_seconds wall_seconds skip_distance_m worst_gradient_error"),
        *_named("errors_before_training errors_in_training num_checks_without_verdict"),
        *_at("hops", _HOP),
        *_at("certificate", _CERTIFICATE),
        *(f"{place}.{name}" for place in _PUSHED for name in _named(_PUSHING)),
        *_PUSHED,
        *_at("scores", "path is_unseen loss_before loss_after"),
    },
    "check-car": {
        *_named(
            "model vehicle notes doubts driven certified worst_relative_error failures hint right"
        ),
        *(f"vehicle.{name}" for name in _named(_CAR)),
        *(
            f"driven.{name}{own}"
            for name in ("circle_radius_m", "acceleration_mps2", "braking_mps2")
            for own in ("", ".measured", ".expected", ".right")
        ),
    },
    "check-grad": {
        *_named("entity certified worst_relative_error tolerance certified_horizons model"),
        *_named("wheel_shape precision actuation with_repairs float64 wheels failures notes hint"),
        "vehicle",
        *_at("horizons", f"horizon cosine uncertainty {_CHECKED}"),
        *_at("horizons.verdicts", "actions"),
        *("horizons.verdicts.initial state", "horizons.verdicts.network weights"),
        *(
            key
            for rows in ("certificate", "at_the_limit")
            for key in (
                *_at(rows, f"regime parameter horizon regime_fraction verdict {_CHECKED}"),
                *_at(f"{rows}.directions", _DIRECTION),
                *_named(f"{rows}.cosine {rows}.uncertainty"),
            )
        ),
        "wall_seconds",
        *_at("parity", "horizon position_m"),
        *_at("hops", _HOP),
        *_at("attempts", "name report outcome error relative_error advice"),
    },
    "franka-test": {
        *_named("is_certified is_reached precision dt tolerance max_mean_distance_m losses"),
        *_named("num_skipped mean_distances_m worst_distances_m train_seconds wall_seconds"),
        *_named("run_folder num_updates is_interrupted"),
        *_at("probes", "expression requires_grad grad_fn gradient_norm error"),
        *_at("certificates", "case horizon num_directions median_error worst_error num_kinks"),
        *_at("certificates", "contact_fraction is_repeatable is_certified"),
        *_at("certificates.checks", _DIRECTION),
        *_at("hops", _HOP),
        *_at("before", "num_targets mean_m p95_m max_m"),
        *_at("after", "num_targets mean_m p95_m max_m"),
    },
    "compare": {
        *_named("threshold_m methods engines conditions paths ranked_grip summaries verdicts"),
        "grips",
        *_at("contestants", "method seed source train_seconds num_env_steps"),
        *_at("scores", f"{_PLACE} {_FIGURES} lost {_FURTHER}"),
        *_at("curves", f"{_CURVE} lost"),
    },
}
"""What `--json` writes, by command."""

CSV: dict[str, list[str]] = {
    "simulate": _named(
        "t_s x_m y_m yaw_rad speed_mps cross_track_m heading_error_rad speed_error_mps",
        "arc_length_m lateral_velocity_mps yaw_rate_radps steering_angle_rad",
        "steering_command_rad speed_command_mps",
    ),
    "record": _named(
        "episode t_s x_m y_m yaw_rad speed_mps lateral_velocity_mps yaw_rate_radps",
        "steering_angle_rad arc_length_m cross_track_m heading_error_rad speed_error_mps",
        _OBSERVED,
        "steering_command_rad speed_command_mps",
    ),
    "metrics of train-e2e": _named(
        "iteration loss loss_cross_track loss_heading loss_speed loss_effort loss_smoothness",
        "loss_time_indexed learning_rate is_skipped gradient_norm clipped_gradient_norm",
        "forward_seconds backward_seconds gradient_error train_seconds num_env_steps",
        _EVALUATED,
    ),
    "metrics of train-bc": _named(
        "iteration loss loss_steering loss_drive learning_rate is_skipped validation_loss round",
        "num_rows seconds train_seconds num_env_steps",
        _EVALUATED,
    ),
    "metrics of train-ppo": _named(
        "iteration loss loss_surrogate loss_value loss_entropy learning_rate is_skipped action_std",
        "drive_seconds learn_seconds train_seconds num_env_steps",
        _EVALUATED,
    ),
    "scores of compare": _named(f"{_PLACE} {_FIGURES} lost_share {_FURTHER}"),
    "curves of compare": _named(f"{_CURVE} lost_share"),
}
"""The first row of each file."""

RUN_FOLDER = _named(
    "config.yaml metrics.csv checkpoints/last.pt checkpoints/best.pt plots/training.png"
)
"""What every finished run leaves behind."""
