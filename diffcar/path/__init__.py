"""What is to be followed: reference paths from a name or a file."""
