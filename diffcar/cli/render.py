"""What cli/render_compare.py still takes from here."""

from diffcar.cli.show import titled

__all__ = ["titled"]
