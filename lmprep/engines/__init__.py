"""Where partitions run, and what holds a run together: plan, receipts, manifest."""
