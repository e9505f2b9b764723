"""The command line: Typer and rich live only here."""
