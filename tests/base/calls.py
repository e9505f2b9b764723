"""What other processes are asked to do, beside the tests: these need not be loaded there."""

import os
import time
from pathlib import Path

from diffcar.base.child import Child
from diffcar.base.errors import ConfigError


def power(base: int, exponent: int) -> int:
    return base**exponent


def refuse() -> None:
    raise ConfigError("not so", hint="but so")


class PeculiarError(Exception):
    """What cannot be made again of what it is pickled as."""

    def __init__(self, one: str, two: str) -> None:
        super().__init__(one + two)


def fail() -> None:
    raise PeculiarError("not", "ably")


def leave() -> None:
    os._exit(3)


def hold(fifo: Path) -> None:
    """Write this process's number, and keep the pipe open for as long as it lives, or a minute."""
    with fifo.open("w", buffering=1) as file:
        file.write(f"{os.getpid()}\n")
        time.sleep(60)


def hold_in_another(fifo: Path) -> None:
    with Child(hold, fifo) as child:
        child.result()
