"""A car follows a path."""
