"""Vehicle models: read, adopted, completed."""
