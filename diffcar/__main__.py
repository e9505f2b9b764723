"""Entry point of `diffcar` and `python -m diffcar`."""

from diffcar.cli.streams import prepare

__all__ = ["main"]


def main() -> None:
    """Run the command line."""
    prepare()
    from diffcar.cli.app import main as run

    run()


if __name__ == "__main__":
    main()
