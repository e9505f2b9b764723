"""Ways to train a controller, as generators of records."""
