"""What `check-car`, `check-grad` and `franka-test` do."""
