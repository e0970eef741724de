"""The models of the tests of fine-tuning, asked what they know."""

from tests.cli.conftest import run
from tests.finetuning.conftest import model_folder, one_thread

__all__ = ["model_folder", "one_thread", "run"]
