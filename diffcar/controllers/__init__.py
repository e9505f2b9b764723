"""What drives: from a state and its errors to an action."""
