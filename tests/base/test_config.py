"""Configuration: sources, precedence, and errors that say what to do."""

import itertools
from pathlib import Path

import pytest
import yaml

from diffcar.base.config import load_config
from diffcar.base.errors import ConfigError
from diffcar.base.files import resource_path
from diffcar.base.section import settings_by_key
from diffcar.base.settings_yaml import dump_config, meaning_of
from diffcar.base.yaml_reader import read_yaml
from diffcar.checks.config import CheckGradConfig
from diffcar.comparison.config import CompareConfig
from diffcar.demonstrations.config import RecordConfig
from diffcar.tasks.pushing.config import TrainPushConfig
from diffcar.tasks.reaching.config import FrankaTestConfig
from diffcar.tasks.tracking.config import SimulateConfig, TrainE2EConfig
from diffcar.training.bc.config import TrainBCConfig
from diffcar.training.ppo.config import TrainPPOConfig


def test_flag_beats_override_beats_file_beats_default(tmp_path: Path) -> None:
    """The same key from every source."""
    file = tmp_path / "c.yaml"
    file.write_text("train: {horizon: 10, num_envs: 3}\nseed: 1\ndt: 0.01\n")
    config = load_config(
        TrainE2EConfig,
        file=file,
        overrides=["train.horizon=20", "seed=2"],
        flags={"seed": 3, "precision": None},
    )
    assert (config.train.num_envs, config.train.horizon, config.seed) == (3, 20, 3)
    assert (config.dt, config.precision) == (0.01, 32)


def test_resolved_configuration_reads_back_equal() -> None:
    """What a run folder stores is what was used."""
    config = load_config(TrainE2EConfig, overrides=["actuation=pd", "path.scale=0.1"])
    assert TrainE2EConfig.model_validate(yaml.safe_load(dump_config(config))) == config


@pytest.mark.parametrize(
    ("name", "schema"),
    [
        ("train_e2e", TrainE2EConfig),
        ("simulate", SimulateConfig),
        ("record", RecordConfig),
        ("train_bc", TrainBCConfig),
        ("train_ppo", TrainPPOConfig),
        ("franka_test", FrankaTestConfig),
        ("check_grad", CheckGradConfig),
        ("train_push", TrainPushConfig),
    ],
)
def test_shipped_file_holds_the_defaults(name: str, schema: type[TrainE2EConfig]) -> None:
    """The documentation in configs/ cannot drift from the code."""
    assert load_config(schema, file=resource_path(f"configs/{name}.yaml")) == schema()
    shipped = yaml.safe_load(resource_path(f"configs/{name}.yaml").read_text())
    assert shipped == schema().model_dump(mode="json")


def test_shipped_comparison_is_the_default_and_the_quick_one_fits() -> None:
    """Its suite names what differs from a plain path and from no disturbance alone."""
    shipped = load_config(CompareConfig, file=resource_path("configs/compare.yaml"))
    assert shipped == CompareConfig()
    quick = load_config(CompareConfig, file=resource_path("configs/compare_quick.yaml"))
    assert quick.seeds == [0]


BAD = {
    "train.horizn=3": ("train.horizn", "train.horizon"),
    "horizon=3": ("'horizon'", "train.horizon"),
    "trian.horizon=3": ("unknown key 'trian'", "did you mean 'train'?"),
    "train.horizon=-3": ("train.horizon = -3", ""),
    "train.horizon=many": ("train.horizon = 'many'", ""),
    "dt=nan": ("dt", ""),
    "dt=-1": ("dt = -1", ""),
    "actuation=magic": ("actuation = 'magic'", ""),
    "train.truncation_length=1000": ("longer than horizon", ""),
    "seed.x=1": ("seed", ""),
    "train.horizon=true": ("train.horizon = True", ""),
    "train.horizon='12'": ("train.horizon = '12'", ""),
    "seed=2024-13-45": ("seed = '2024-13-45'", ""),
    "novalue": ("not of the form", "--set"),
    "train=[": ("not valid YAML", ""),
    f"seed=0x{5000 * 'f'}": ("whole number of more than 64 bits", ""),
    "path.top_speed=1e200": ("path.top_speed = 1e+200", ""),
    "path.top_speed=1e-300": ("path.top_speed = 1e-300", ""),
    "path.lateral_acceleration=1e200": ("path.lateral_acceleration = 1e+200", ""),
    "path.longitudinal_acceleration=1e-300": ("path.longitudinal_acceleration = 1e-300", ""),
    "path.grip=1e-300": ("path.grip = 1e-300", ""),
}


@pytest.mark.parametrize("override", BAD)
def test_bad_override_is_explained(override: str) -> None:
    """The offending value is in the message and the nearest name in the hint."""
    message, hint = BAD[override]
    with pytest.raises(ConfigError) as caught:
        load_config(TrainE2EConfig, overrides=[override])
    assert message in caught.value.message
    assert hint in (caught.value.hint or "")


def test_times_are_those_whose_steps_can_be_counted() -> None:
    """About a day at the most, in every section."""
    for schema in (TrainE2EConfig, TrainPPOConfig, CompareConfig, RecordConfig, SimulateConfig):
        for key, (section, name, _) in settings_by_key(schema).items():
            if meaning_of(section, name, None).count("[s]") and key != "dt":
                with pytest.raises(ConfigError, match=rf"{key} = 1e\+308"):
                    load_config(schema, overrides=[f"{key}=1e308"])


def test_exponents_are_numbers() -> None:
    """YAML 1.1 reads 1e-3 as text; users mean a number."""
    config = load_config(TrainE2EConfig, overrides=["train.learning_rate=1e-3"])
    assert config.train.learning_rate == 1e-3


def test_all_problems_are_listed_at_once() -> None:
    """Nobody corrects a file one error at a time."""
    with pytest.raises(ConfigError) as caught:
        load_config(TrainE2EConfig, overrides=["dt=-1", "train.num_envs=0", "colour=red"])
    for part in ("dt", "train.num_envs", "colour"):
        assert part in caught.value.message


def test_a_comparison_gives_every_method_its_number_of_updates() -> None:
    """None ends by its own judgement."""
    with pytest.raises(ConfigError, match="num_updates must be a number"):
        load_config(CompareConfig, overrides=["e2e.num_updates=null"])


def test_a_loss_without_terms_is_refused() -> None:
    """All weights zero would train nothing."""
    zeros = [f"loss.{n}=0" for n in ("cross_track", "heading", "speed", "smoothness")]
    with pytest.raises(ConfigError, match="every weight zero nothing would be trained"):
        load_config(TrainE2EConfig, overrides=zeros)


BAD_FRANKA = {
    "precision=32": "32 bits cannot tell gradients apart",
    "reach.target_low=[0.7,0,0]": "target_low must be below",
    "reach.target_high=[0.7,0.1]": "reach.target_high",
    "loss.distance=0": "with distance zero nothing would be trained",
}


@pytest.mark.parametrize("override", BAD_FRANKA)
def test_bad_settings_of_the_arm_are_explained(override: str) -> None:
    """An empty box, a point of two coordinates, a loss that asks for nothing, too few bits."""
    with pytest.raises(ConfigError, match=BAD_FRANKA[override]):
        load_config(FrankaTestConfig, overrides=[override])


def read(text: str, tmp_path: Path) -> dict[str, object]:
    file = tmp_path / "c.yaml"
    file.write_text(text)
    return read_yaml(file)


MEANT = {
    "010": 10,
    "1:30": "1:30",
    "1_000": "1_000",
    "on": "on",
    "No": "No",
    "2024-01-01": "2024-01-01",
    "0o10": 8,
    "0x1F": 31,
    "-1e3": -1000.0,
    ".5": 0.5,
    "True": True,
    "~": None,
    "": None,
}


@pytest.mark.parametrize("text", MEANT)
def test_a_value_is_what_it_looks_like(text: str, tmp_path: Path) -> None:
    """As the core schema of YAML 1.2 reads it, in files and in overrides."""
    value = read(f"a: {text}\n", tmp_path)["a"]
    assert (type(value), value) == (type(MEANT[text]), MEANT[text])


@pytest.mark.parametrize("name", ["010", "1e-3", "0o10", "1_000", "yes", "<<", "~", "2024-01-01"])
def test_a_text_that_looks_like_something_else_stays_a_text(name: str, tmp_path: Path) -> None:
    """A track of such a name is found again when its run goes on, by every reader."""
    text = dump_config(SimulateConfig(controller=name))
    assert read(text, tmp_path)["controller"] == name
    assert yaml.safe_load(text)["controller"] == name


REFUSED = {
    "seed: 1\ndt: 0.01\nseed: 2\n": ("'seed' is given twice", 3),
    "train: {horizon: 1, horizon: 2}\n": ("'horizon' is given twice", 1),
    "seed: 1\ndt: !!bool foo\n": ("tags have no place", 2),
    'seed: !!int ""\n': ("tags have no place", 1),
    "seed: !!python/name:os.system ''\n": ("tags have no place", 1),
    "!mine {seed: 1}\n": ("tags have no place", 1),
    'a: 1\nb: 2\nmodel: "a\\0b"\n': ("a text holds a NUL", 3),
}


@pytest.mark.parametrize("text", REFUSED)
def test_what_would_be_lost_or_turned_into_something_else_is_refused(
    text: str, tmp_path: Path
) -> None:
    """Keys given twice, tags, and characters that no name can hold, each with its line."""
    told, line = REFUSED[text]
    with pytest.raises(ConfigError, match=told) as caught:
        read(text, tmp_path)
    assert f"line {line}," in caught.value.message


def test_aliases_are_copies_and_merged_keys_are_no_second_ones(tmp_path: Path) -> None:
    """An override of one does not change the other."""
    file = tmp_path / "c.yaml"
    file.write_text("evaluation:\n  <<: {interval: 3}\n  interval: 5\n")
    assert load_config(TrainE2EConfig, file=file).evaluation.interval == 5
    shared = read("a: &x {b: 1, c: [0]}\nd: *x\ne: {<<: *x, b: 2}\n", tmp_path)
    assert shared == {"a": {"b": 1, "c": [0]}, "d": {"b": 1, "c": [0]}, "e": {"b": 2, "c": [0]}}
    assert shared["a"] is not shared["d"]


ENDLESS = {
    "aliases": "a: &a [x, x, x, x, x, x, x, x, x, x]\n"
    + "".join(
        f"{name}: &{name} [{', '.join([f'*{before}'] * 10)}]\n"
        for before, name in itertools.pairwise("abcdefghi")
    ),
    "an alias in itself": "a: &a [*a]\n",
    "brackets": "a: " + 5000 * "[",
    "digits": "seed: " + 5000 * "9",
    "problems": "train: {" + ", ".join(f"key{i}: 1" for i in range(5000)) + "}",
    "a value": f"dt: {500_000 * 'x'}",
    "a key": f"? {1000 * 'x'}\n: 1",
    "a file": f"# {2_000_000 * 'x'}\nsede: 1",
}


@pytest.mark.parametrize("case", ENDLESS)
def test_what_has_no_end_is_refused_in_few_words(case: str, tmp_path: Path) -> None:
    """What is echoed is cut."""
    file = tmp_path / "c.yaml"
    file.write_text(ENDLESS[case])
    with pytest.raises(ConfigError) as caught:
        load_config(TrainE2EConfig, file=file)
    assert len(caught.value.message) < 2000


@pytest.mark.parametrize("text", ["- a\n- b\n", "a: [1\n", "\x00"])
def test_bad_yaml_file_is_explained(text: str, tmp_path: Path) -> None:
    """Lists, broken syntax and binary content."""
    file = tmp_path / "c.yaml"
    file.write_text(text)
    with pytest.raises(ConfigError):
        load_config(TrainE2EConfig, file=file)
    with pytest.raises(ConfigError, match="cannot be read"):
        load_config(TrainE2EConfig, file=tmp_path / "missing.yaml")


BAD_PUSH = {
    "loss={cross_track: 0, progress: 0}": "nothing would be trained",
    "half_width=0.1": "leaves no room",
    "train.truncation_length=10": "unknown key",
}


@pytest.mark.parametrize("override", BAD_PUSH)
def test_bad_settings_of_the_push_are_explained(override: str) -> None:
    """A loss that asks for nothing, a grid too narrow for the body, a key of the car's training."""
    with pytest.raises(ConfigError, match=BAD_PUSH[override]):
        load_config(TrainPushConfig, overrides=[override])
