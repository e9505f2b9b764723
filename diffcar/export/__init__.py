"""A trained controller with its path, as a file for a real car."""
