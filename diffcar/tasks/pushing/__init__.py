"""A tool pushes a soft body along a path."""
