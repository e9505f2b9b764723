"""What an expert does: recorded, read from files, as tensors."""
