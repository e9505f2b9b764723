"""Is a gradient right, and where does it end: for any function of tensors."""
