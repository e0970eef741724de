"""A run's model in the layout that Hugging Face's libraries and hub read."""

from lmprep.export.folder import export

__all__ = ["export"]
