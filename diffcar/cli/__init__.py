"""The terminal: the only package that imports Typer and rich."""
