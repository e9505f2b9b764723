"""How fast cars drive in training: slower at first, and not all alike."""

import torch

from diffcar.controllers.errors import compute_error_state
from diffcar.path.reference import PathBatch, ReferencePath, Road
from diffcar.sim.contract import Start
from diffcar.tasks.tracking.config import TrainConfig

__all__ = ["Pace"]

_NUM_GROUPS = 4
# Further from the path than this times its size a car does not hold it [m]; so many may not.
_OFF, _MOST_OFF = 0.2, 0.1


class Pace:
    """The share of the reference speed that training drives at by now, and the road at it."""

    def __init__(self, path: ReferencePath, config: TrainConfig, *, car_size: float) -> None:
        self.share = config.ramp_from if config.ramp_updates else 1.0
        """Of the reference speed, of the fastest cars."""
        self._path, self._config, self._off = path, config, _OFF * car_size
        self._made: tuple[float, Road] | None = None

    def adapt(self, reached: Start | None) -> None:
        """Go a step faster if the cars have stayed on the road in the last update.

        Where too many have not, or it had to be skipped (None), it is two steps slower again.
        """
        config = self._config
        if not config.ramp_updates:
            return
        is_held = False
        if reached is not None:
            assert reached.state is not None and reached.arc_length is not None
            errors = compute_error_state(self._path, reached.state, reached.arc_length)
            is_off = errors.cross_track_error.abs() > self._off
            is_held = float(is_off.to(self._path.dtype).mean()) <= _MOST_OFF
        step = (1 - config.ramp_from) / config.ramp_updates
        share = self.share + (step if is_held else -2 * step)
        self.share = min(1.0, max(config.ramp_from, share))

    @property
    def road(self) -> Road:
        """The path at the speeds to train at, made anew where the share has changed."""
        if self._made is None or self._made[0] != self.share:
            self._made = (self.share, self._road())
        return self._made[1]

    def _road(self) -> Road:
        """Return it made anew."""
        slowest = 1 - self._config.pace_spread
        if slowest == 1:
            return self._path if self.share == 1 else self._path.slowed(self.share)
        parts = (number / (_NUM_GROUPS - 1) for number in range(_NUM_GROUPS))
        shares = [self.share * (slowest + (1 - slowest) * part) for part in parts]
        which = torch.arange(self._config.num_envs, device=self._path.device) % _NUM_GROUPS
        return PathBatch([self._path.slowed(share) for share in shares], which)
