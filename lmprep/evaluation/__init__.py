"""Evaluation: what a model has learnt, measured on held-out datasets beside simple baselines."""

from lmprep.evaluation.held_out import evaluate

__all__ = ["evaluate"]
