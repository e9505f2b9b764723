"""Who is better, and what it cost."""
