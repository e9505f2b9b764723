"""Entry point of `diffcar` and `python -m diffcar`."""

from diffcar.cli.app import main

__all__ = ["main"]

if __name__ == "__main__":
    main()
