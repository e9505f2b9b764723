"""`python -m tests.cli.on_bicycles ...` is `diffcar ...` on bicycles, in a process of its own."""

import sys

from diffcar.__main__ import main


def replace_scenes() -> None:
    """Let every command drive bicycles, and not for long after training."""
    from diffcar.comparison import suite
    from diffcar.demonstrations import record
    from diffcar.tasks.tracking import simulate, unseen
    from diffcar.tasks.tracking.scenes import Scenes
    from tests.bicycle import bicycles

    for module in (simulate, record, suite):
        module.build_scene = bicycles
    Scenes.__init__.__kwdefaults__["build"] = bicycles
    unseen._DRAWN_TIME = 0.1


if __name__ == "__main__":
    replace_scenes()
    sys.argv[0] = "diffcar"
    main()
