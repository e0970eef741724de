"""Scans of blocks of text: the kernels, and what they leave to the library.

One kernel cuts a batch of words, another one writes their ids, and so on. Each runs until it meets
something it cannot do (`words` lists what); the scanner does it, and sends it on from there.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from lmprep.jit import compile_for
from lmprep.tokenization.pieces import encode_word, scratch_for
from lmprep.tokenization.scanning import lookup, words
from lmprep.tokenization.scanning.cuts import SEPARATORS, Cut
from lmprep.tokenization.scanning.lookup import Output, Work
from lmprep.tokenization.scanning.marks import new_marks
from lmprep.tokenization.scanning.word_cache import WordCache, move_entries, new_cache
from lmprep.tokenization.scanning.words import AHEAD, BATCH, FIELDS, STATE_FIELDS, Batch

Bytes = NDArray[np.uint8]
Flags = NDArray[np.bool_]
Int32s = NDArray[np.int32]
Int64s = NDArray[np.int64]

Encoded = tuple[Int32s, Flags, Int64s]
"""Ids and word starts of all sentences, and the number of ids of each."""
OnText = Callable[[str], tuple[Int32s, Flags]]

FEWEST_SLOTS = 1 << 15
MOST_SLOTS = 1 << 20
_SHORT_TO_LONG = 8
"""There are so many slots for short words to one for a long word."""
_WORD_BYTES = 4096
_LETTERS = 1 << 16
"""Bytes of the long words of a batch, to begin with."""
_REUSED_ROOM = 1 << 23
"""Ids of a block whose arrays are used again for the next: what is handed out is a copy."""


class Scanner:
    """One thread's way through text, with its own cache of words.

    Args:
        cut: how text is scanned; scanners may share one.
        written_as: int32 [vocabulary], what is written for each id, see `lookup.Work`.
        on_text: what the library makes of a stretch of text.
        most_slots: short words that the cache has slots for, a power of two; 50 bytes each, as far
            as they are needed.
    """

    def __init__(
        self, cut: Cut, written_as: Int32s, on_text: OnText, most_slots: int = MOST_SLOTS
    ) -> None:
        self._cut = cut
        self._lead = np.frombuffer(cut.lead, np.uint8)
        self._on_text = on_text
        self._most_slots = most_slots
        self._written_as = written_as
        self._batch = Batch(
            words=np.zeros(FIELDS * (BATCH + AHEAD), np.uint64),
            letters=np.empty(_LETTERS, np.uint8),
            ends=np.empty(0, np.int64),
            marks=new_marks(),
        )
        self._work = self._new_work(_WORD_BYTES)
        self.cache = _cache_of(min(FEWEST_SLOTS, most_slots))
        self._spare = _no_output()

    def encode(
        self, text: Bytes, offsets: Int64s, gap: int = 0, out: Output | None = None
    ) -> Encoded:
        """Encode sentences.

        Args:
            text: UTF-8.
            offsets: int64 [S + 1], where each sentence begins, and where the last one ends.
            gap: bytes at the end of every sentence that are not part of it.
            out: where to write, `output_for` these sentences or a part of it; what does not fit
                goes elsewhere.
        """
        reuses = out is None and room_for(int(offsets[-1] - offsets[0])) <= _REUSED_ROOM
        if reuses:
            out = self._spare._replace(lengths=np.zeros(len(offsets) - 1, np.int64))
        out = out or output_for(offsets)
        text = text.view()
        text.flags.writeable = False  # kernels are compiled for one kind of array
        state = np.zeros(STATE_FIELDS, np.int64)
        state[words.PLACE] = offsets[0]
        while state[words.SENTENCE] < len(offsets) - 1:
            self._cut_batch(text, offsets, gap, out, state)
            out = self._look_up(text, offsets, gap, out, state)
        written = int(state[words.WRITTEN])
        ids, word_start = out.ids[:written], out.word_start[:written].view(np.bool_)
        if reuses:
            self._spare = out
            ids, word_start = ids.copy(), word_start.copy()
        return ids, word_start, out.lengths

    def rehearse_model(self) -> None:
        """Compile what encodes a new word."""
        work, length = self._work, np.int64(0)
        compile_for(encode_word, self._cut.model, work.word, length, length, work.ids, work.scratch)

    def rehearse_look_up(self) -> None:
        """Compile what looks up words, by looking up none."""
        no_sentence = np.zeros(1, np.int64)
        state = np.zeros(STATE_FIELDS, np.int64)
        self._look_up(np.empty(0, np.uint8), no_sentence, 0, output_for(no_sentence), state)

    def _cut_batch(
        self, text: Bytes, offsets: Int64s, gap: int, out: Output, state: Int64s
    ) -> None:
        """Fill the batch with the next words."""
        state[words.WORDS] = state[words.WORD] = state[words.LETTERS] = 0
        # The look-up counts the ids of a sentence when it has done with its words.
        self._batch = self._batch._replace(ends=out.lengths)
        points = self._cut.points
        while outcome := self._cut.kernel(text, offsets, gap, points.tables, self._batch, state):
            if outcome == words.PAGE_MISSING:
                points.load(int(state[words.CODE]))
            elif state[words.WORDS] > 0:
                return
            else:
                letters = np.empty(2 * len(self._batch.letters), np.uint8)
                self._batch = self._batch._replace(letters=letters)

    def _look_up(
        self, text: Bytes, offsets: Int64s, gap: int, out: Output, state: Int64s
    ) -> Output:
        """Write the ids of the words of the batch."""
        while outcome := lookup.look_up(
            self._batch, self.cache, self._cut.model, self._work, out, state
        ):
            if outcome == words.PAGE_MISSING:
                self._cut.points.load(int(state[words.CODE]))
            elif outcome == words.UNSAFE_TEXT:
                out = self._ask_library(text, offsets, gap, out, state)
            elif outcome == words.CACHE_FULL:
                self._make_room()
            elif outcome == words.SCRATCH_FULL:
                self._work = self._new_work(2 * len(self._work.word))
            else:
                assert outcome == words.OUTPUT_FULL
                out = _larger(out, 2 * len(out.ids))
        return out

    def _ask_library(
        self, text: Bytes, offsets: Int64s, gap: int, out: Output, state: Int64s
    ) -> Output:
        """Have the library encode the word where the look-up stands, and what is behind it."""
        word = int(state[words.WORD])
        start, following = self._batch.words[[word * FIELDS + 3, (word + 1) * FIELDS + 3]].tolist()
        stop = min(following, int(offsets[state[words.LOOKED_UP] + 1]) - gap)
        stretch = text[start:stop].tobytes()
        if self._cut.drops_separators:
            stretch = stretch.rstrip(SEPARATORS.encode())
        ids, word_start = self._on_text(stretch.decode())
        lookup.keep_word(self._batch, word, self.cache, ids, word_start.view(np.uint8))
        at = int(state[words.WRITTEN])
        if at + len(ids) + lookup.MARGIN > len(out.ids):
            out = _larger(out, 2 * len(out.ids) + len(ids))
        out.ids[at : at + len(ids)] = ids
        out.word_start[at : at + len(ids)] = word_start
        state[words.WRITTEN] = at + len(ids)
        state[words.WORD] = word + 1
        return out

    def _make_room(self) -> None:
        slots = len(self.cache.short) // 4
        if slots < self._most_slots:
            larger = _cache_of(2 * slots)
            move_entries(self.cache, larger)
            self.cache = larger
        else:
            self.forget()

    def _new_work(self, word_bytes: int) -> Work:
        return Work(
            new_words=self._cut.new_words,
            lead=self._lead,
            word=np.empty(word_bytes, np.uint8),
            ids=np.empty(word_bytes + 1, np.int32),
            scratch=scratch_for(word_bytes),
            written_as=self._written_as,
            checked=self._cut.checked,
        )

    def forget(self) -> None:
        """Empty the cache."""
        self.cache.short.fill(0)
        self.cache.long_hashes.fill(0)
        self.cache.used.fill(0)


def room_for(size: int) -> int:
    """Ids that sentences of `size` bytes have at most, but for rare characters."""
    return size + 2 * lookup.MARGIN


def output_for(offsets: Int64s) -> Output:
    """Room for the ids of sentences; takes memory only as far as it is written to."""
    room = room_for(int(offsets[-1] - offsets[0]))
    lengths = np.zeros(len(offsets) - 1, np.int64)
    return Output(np.empty(room, np.int32), np.empty(room, np.uint8), lengths)


def _no_output() -> Output:
    """Room that grows when it is first written to."""
    room = 4 * lookup.MARGIN
    return Output(np.empty(room, np.int32), np.empty(room, np.uint8), np.empty(0, np.int64))


def _cache_of(slots: int) -> WordCache:
    return new_cache(slots, max(4, slots // _SHORT_TO_LONG))


def _larger(out: Output, room: int) -> Output:
    ids, word_start = np.empty(room, np.int32), np.empty(room, np.uint8)
    ids[: len(out.ids)] = out.ids
    word_start[: len(out.word_start)] = out.word_start
    return Output(ids, word_start, out.lengths)
