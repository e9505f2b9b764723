"""Records what an expert does for a run of behaviour cloning, and reads what was recorded."""

from dataclasses import dataclass

from diffcar.base.log import logger
from diffcar.controllers.choose import ControllerChoice
from diffcar.demonstrations.files import read_demonstrations, write_demonstrations
from diffcar.demonstrations.recording import record_demonstrations
from diffcar.demonstrations.table import Demonstrations
from diffcar.sim.contract import CarScene
from diffcar.tasks.contract import seed_of_update
from diffcar.tasks.tracking.task import TrackingTask
from diffcar.training.bc.config import TrainBCConfig
from diffcar.training.run_folder import RunFolder

__all__ = ["ExpertRecorder"]

# Recordings of a run draw from here on, so that no two runs or rounds share their starts.
_ROUND_SEED = 7_919


@dataclass
class ExpertRecorder:
    """Records an expert round by round, and reads what it recorded.

    Files that are there already are read, not recorded again: so a run resumes on its own data.
    """

    task: TrackingTask
    """What is driven; its network drives in DAgger rounds."""
    config: TrainBCConfig
    expert: ControllerChoice
    scene: CarScene
    """Plain cars, one an episode."""

    def demonstrations(self, folder: RunFolder, number: int) -> Demonstrations:
        """Return those of a round: 0 is the expert's own, or the number of a DAgger round."""
        file = folder.path / f"demonstrations-{number}.csv"
        if not file.is_file():
            config, driver = self.config.demonstrations, None
            if number:
                # The student's own mistakes are the disturbance.
                config = config.model_copy(update={"noisy_fraction": 0.0})
                driver = self.task.driver
            who = "the network driving" if number else "driving"
            logger.info(f"recording {self.expert.spec}, {who} {self.scene.num_envs} cars")
            recording = record_demonstrations(
                self.scene,
                self.expert.build(self.scene),
                self.task.path,
                self.config.controller,
                config=config,
                start_config=self.config.start,
                seed=seed_of_update(self.config.seed, number * _ROUND_SEED),
                driver=driver,
            )
            write_demonstrations(recording.table, file)
        return read_demonstrations(
            [file], controller_config=self.config.controller, vehicle=self.task.vehicle
        )
