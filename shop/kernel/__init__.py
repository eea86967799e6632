"""What every context may use and nothing of what a context is about."""
