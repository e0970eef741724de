"""Scans of text at memory speed."""
