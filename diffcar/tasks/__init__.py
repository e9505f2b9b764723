"""What is driven through the physics, and what for: one folder a task."""
