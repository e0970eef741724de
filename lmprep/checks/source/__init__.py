"""The corpus read again, and rows held against it."""
