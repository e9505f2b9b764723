"""`python -m tests.cli.on_bicycles ...` is `diffcar ...` on bicycles, in a process of its own."""

import sys

from diffcar.__main__ import main


def replace_scenes() -> None:
    """Let drives and trainings be of bicycles, and no drive after training be long."""
    from diffcar.tasks.tracking import simulate, unseen
    from diffcar.tasks.tracking.scenes import Scenes
    from tests.bicycle import bicycles

    simulate.build_scene = bicycles
    Scenes.__init__.__kwdefaults__["build"] = bicycles
    unseen._DRAWN_TIME = 0.1
    unseen.plot_drive = lambda *args: None


if __name__ == "__main__":
    replace_scenes()
    sys.argv[0] = "diffcar"
    main()
