"""An arm brings its hand to a target."""
