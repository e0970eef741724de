"""Lines of Python that load an exported model and let it predict, for its model card."""

from __future__ import annotations

_AUTO_CLASSES = {
    "encoder": "AutoModelForMaskedLM",
    "decoder": "AutoModelForCausalLM",
    "encoder-decoder": "AutoModelForSeq2SeqLM",
}
_LOADING = """\
import torch
from transformers import {auto}, AutoTokenizer

folder = "."  # this folder, or its name on the hub
tokenizer = AutoTokenizer.from_pretrained(folder)
model = {auto}.from_pretrained(folder).eval()
"""
_FILLING = """\
text = f"The ferry leaves the {tokenizer.mask_token} in the morning."
inputs = tokenizer(text, return_tensors="pt")
with torch.no_grad():
    logits = model(**inputs).logits[0]
print(tokenizer.decode(logits[inputs.input_ids[0] == tokenizer.mask_token_id].argmax(-1)))
"""
# The tokenizer ends a text with its end token, after which nothing would come.
_CONTINUING = """\
inputs = tokenizer("The ferry leaves", add_special_tokens=False, return_tensors="pt")
tokens = model.generate(**inputs, max_new_tokens=20, do_sample=True)
print(tokenizer.decode(tokens[0]))
"""
_WRITING = """\
inputs = tokenizer("{text}", return_tensors="pt")
tokens = model.generate(**inputs, max_new_tokens=20)
print(tokenizer.decode(tokens[0]))
"""
_TEXTS = {
    "bart": "The ferry leaves the <mask> in the morning.",
    "ul2": "[R]The ferry leaves the <extra_id_0> in the morning.",
}
_SENTINELS = "The ferry leaves the <extra_id_0> in the morning."


_JUDGING = """\
import torch
from transformers import AutoModelForPreTraining, AutoTokenizer

folder = "."  # this folder, or its name on the hub
tokenizer = AutoTokenizer.from_pretrained(folder)
model = AutoModelForPreTraining.from_pretrained(folder).eval()
inputs = tokenizer("The ferry leaves the harbour in the potato.", return_tensors="pt")
with torch.no_grad():
    replaced = model(**inputs).logits[0].sigmoid()
for token, share in zip(inputs.tokens(), replaced.tolist()):
    print(f"{token:15} {share:.3f}")
"""


def example(kind: str, objective: str) -> str:
    """Code for a model of a kind (of `ModelSettings`) that has learnt an objective."""
    if objective == "electra":
        return _JUDGING
    loading = _LOADING.format(auto=_AUTO_CLASSES[kind])
    if kind == "encoder":
        return loading + _FILLING
    if kind == "decoder":
        return loading + _CONTINUING
    return loading + _WRITING.format(text=_TEXTS.get(objective, _SENTINELS))
