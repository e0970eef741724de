"""What rows must obey: laws by shape, put together for each objective in `subjects`."""
