"""How fast this machine encodes: to compare machines, and to notice one that is throttled."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

_PAGES = Path(__file__).parents[1] / "docs"
_BYTES = 8_000_000
_TIMES = 3


def encoding_speed() -> float:
    """Bytes a second of one thread, WordPiece, over the pages of the documentation again and again.

    The best of three. Kernels must have been compiled, or that is timed.
    """
    from lmprep.settings import CorpusSettings, VocabSettings
    from lmprep.tokenization import folder
    from lmprep.tokenization.encoder import Encoder
    from lmprep.vocab import make_vocabulary

    pages = sorted(_PAGES.glob("*.md"))
    with tempfile.TemporaryDirectory(prefix="lmprep-speed-") as scratch:
        tok = Path(scratch) / "tok"
        settings = VocabSettings(algorithm="wordpiece", size=4000)
        make_vocabulary([str(page) for page in pages], tok, settings, CorpusSettings(format="txt"))
        encoder = Encoder(folder.load(str(tok)))
    text = b"".join(page.read_bytes() for page in pages)
    text *= -(-_BYTES // len(text))
    seconds = []
    for _ in range(_TIMES):
        started = time.perf_counter()
        encoder.encode_lines(text)
        seconds.append(time.perf_counter() - started)
    return len(text) / min(seconds)
