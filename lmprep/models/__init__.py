"""Torch models: one transformer block, the models made of it, and their names elsewhere."""
