"""What everything stands on: errors, settings, names, tables, files, figures, angles."""
