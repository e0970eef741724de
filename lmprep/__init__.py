"""lmprep: from raw text to a pretrained, evaluated language model.

lmprep.train_vocabulary(corpus, "tok", algorithm="wordpiece", size=16000)
lmprep.Encoder("tok").encode(texts)       ids, as `tokenizers` gives them
lmprep.build_dataset("mlm", corpus, "tok", "shards")
lmprep.verify("shards")                   the laws a dataset must keep
lmprep.merge_datasets(["a", "b"], "ab")   one dataset of several
lmprep.load("shards", copy=k)             rows of a dataset folder, stored or masked anew
lmprep.Collator("shards")                 rows -> padded tensors named as Hugging Face models want
lmprep.pretrain("shards", "run", model="bert-mini", steps=1000)
lmprep.evaluate("run", "held-out")        held-out loss beside a baseline
lmprep.export_model("run", "my-bert")     a folder that transformers loads
lmprep.finetune("classify", "run", "out", train="train.tsv", dev="dev.tsv")
lmprep.load_finetuned("out").predict([{"text": "A fine film."}])
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lmprep.api import (
        Encoder,
        build_dataset,
        evaluate,
        export_model,
        finetune,
        load_finetuned,
        merge_datasets,
        pretrain,
        train_vocabulary,
        verify,
    )
    from lmprep.dynamic import load
    from lmprep.shards.collate import Collator

__version__ = "0.1.0"
__all__ = [
    "Collator",
    "Encoder",
    "__version__",
    "build_dataset",
    "evaluate",
    "export_model",
    "finetune",
    "load",
    "load_finetuned",
    "merge_datasets",
    "pretrain",
    "train_vocabulary",
    "verify",
]

# Found on first use: numpy, pyarrow and torch must not slow down `lmprep --help`.
_HOMES = {"load": "lmprep.dynamic", "Collator": "lmprep.shards.collate"}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'lmprep' has no attribute {name!r}")
    return getattr(import_module(_HOMES.get(name, "lmprep.api")), name)
