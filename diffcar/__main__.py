"""Entry point of `diffcar` and `python -m diffcar`."""

from diffcar.cli.ending import end_quickly, prepare_end
from diffcar.cli.streams import prepare

__all__ = ["main"]


def main() -> None:
    """Run the command line."""
    prepare()
    prepare_end()
    from diffcar.cli.app import main as run

    try:
        run()
    except SystemExit as end:
        end_quickly(end.code)
        raise


if __name__ == "__main__":
    main()
