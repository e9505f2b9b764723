"""What the tests of demonstrations record."""

from diffcar.controllers.config import ControllerConfig
from diffcar.controllers.pure_pursuit import PurePursuit
from diffcar.demonstrations.config import DemonstrationConfig
from diffcar.demonstrations.recording import Recording, record_demonstrations
from diffcar.path.reference import ReferencePath
from diffcar.tasks.tracking.config import StartConfig
from tests.bicycle import Bicycle
from tests.samples import VEHICLE

CONFIG = ControllerConfig()
QUIET = DemonstrationConfig(duration=1.0, noisy_fraction=0.0)


def record(
    path: ReferencePath, config: DemonstrationConfig = QUIET, *, seed: int = 0, **arguments: object
) -> Recording:
    arguments.setdefault("expert", PurePursuit(VEHICLE))
    return record_demonstrations(
        Bicycle(4),
        path=path,
        controller_config=CONFIG,
        config=config,
        start_config=StartConfig(),
        seed=seed,
        **arguments,
    )
