"""A comparison of controllers as one HTML file that needs nothing else."""

from diffcar.report.page import write_report

__all__ = ["write_report"]
