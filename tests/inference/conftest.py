"""The models of the tests of fine-tuning, asked as they are."""

from tests.finetuning.conftest import model_folder, one_thread

__all__ = ["model_folder", "one_thread"]
