"""What `check-grad` and `franka-test` do."""
