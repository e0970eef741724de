"""What this installation is, and what is wrong with it."""
