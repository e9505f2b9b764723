"""What all tasks have in common."""

__all__ = ["seed_of_update"]


def seed_of_update(seed: int, number: int) -> int:
    """Return a seed of its own for every update of every run.

    Args:
        seed: Of the run.
        number: Of the update.
    """
    return (seed * 1_000_003 + number) % (2**63)
