"""What drives the car: the trained network and its classical rivals."""

from diffcar.controllers.contract import Controller
from diffcar.controllers.ensemble import ControllerTeam, TrackingEnsemble
from diffcar.controllers.mlp import MLPController
from diffcar.controllers.pure_pursuit import PurePursuit
from diffcar.controllers.stanley import Stanley
from diffcar.controllers.tracking_mlp import TrackingMLP, build_tracking_mlp
from diffcar.controllers.zero import Zero

__all__ = [
    "Controller",
    "ControllerTeam",
    "MLPController",
    "PurePursuit",
    "Stanley",
    "TrackingEnsemble",
    "TrackingMLP",
    "Zero",
    "build_tracking_mlp",
]
