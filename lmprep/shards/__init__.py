"""Arrow out and in: shards, manifests, and rows read back. Knows columns, not objectives."""
