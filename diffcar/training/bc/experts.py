"""Records what an expert does for a run of behaviour cloning, and reads what was recorded."""

from dataclasses import dataclass

from diffcar.base.errors import DemonstrationError
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
    """Records an expert round by round, and reads what it recorded."""

    task: TrackingTask
    """What is driven; its network drives in DAgger rounds."""
    config: TrainBCConfig
    expert: ControllerChoice
    scene: CarScene
    """Plain cars, one an episode."""

    def demonstrations(self, folder: RunFolder, number: int, *, is_new: bool) -> Demonstrations:
        """Return those of a round: 0 is the expert's own, or the number of a DAgger round.

        Args:
            is_new: Whether they are recorded, over what an attempt without a checkpoint may have
                left; otherwise the run has learnt from them, and goes on with the same.

        Raises:
            DemonstrationError: If what the run has learnt from is no longer there.
        """
        file = folder.path / f"demonstrations-{number}.csv"
        if not is_new and not file.is_file():
            raise DemonstrationError(
                f"{str(file)!r} is missing, which this run has learnt from",
                hint="put it back, or begin a new run",
            )
        if is_new:
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
