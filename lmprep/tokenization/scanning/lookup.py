"""The words of a batch to their ids: from the cache, or from the model, which is then remembered.

What the kernels cannot do they leave to their caller, see the reasons in `words`.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from lmprep.jit import Int, bare_inner_kernel, bare_kernel, bare_melted_kernel
from lmprep.tokenization.pieces import PieceModel, Scratch, encode_word
from lmprep.tokenization.scanning.bits import peek, prefetch
from lmprep.tokenization.scanning.code_points import NOT_LOADED, PART, decode, length_of
from lmprep.tokenization.scanning.word_cache import (
    LONG_USED,
    LONGEST_KEPT,
    SHORT_USED,
    WordCache,
    add_long,
    add_short,
    add_short_pooled,
    emit_pooled,
    emit_short,
    emit_short_pooled,
    find_long,
    find_short,
    has_room,
    place_of,
    pool_ids,
    pool_marked,
)
from lmprep.tokenization.scanning.words import (
    AHEAD,
    BEGUN,
    CACHE_FULL,
    CODE,
    DONE,
    FIELDS,
    LOOKED_UP,
    NO_KEY,
    OUTPUT_FULL,
    PAGE_MISSING,
    SCRATCH_FULL,
    SENTENCE,
    UNSAFE,
    UNSAFE_TEXT,
    WORD,
    WORDS,
    WRITTEN,
    Batch,
    key_length,
    write_key,
)

Bytes = NDArray[np.uint8]
Flags = NDArray[np.uint8]
Int32s = NDArray[np.int32]
Int64s = NDArray[np.int64]

ENCODED, NUMBERED, LEFT = range(3)
"""What happens to new words: the model encodes them; each gets the next number, for counting; or
they are left to the library."""

MARGIN = LONGEST_KEPT + 8
"""Ids that must fit in the output for any word that is kept."""

_SPACE = 0x20
_LENGTH = np.uint64(0xFFFFFFFF)


class Work(NamedTuple):
    """What a new word needs.

    Args:
        new_words: what happens to them, ENCODED and so on.
        lead: uint8, put before every word, instead of a space.
        word: uint8, bytes of one word.
        ids: int32, its ids; longer than `word`.
        scratch: what the models need.
        written_as: int32 [vocabulary], what is written for each id: special tokens that a model
            reads out of plain text are unknown; -1 where there is no unknown token.
        checked: uint8, kinds of characters; a word with one that is not PART is left to the
            library. None where words have been normalized already.
    """

    new_words: Int
    lead: Bytes
    word: Bytes
    ids: Int32s
    scratch: Scratch
    written_as: Int32s
    checked: Bytes | None


class Output(NamedTuple):
    """Where ids go: int32 and uint8 (0 or 1), and int64 [sentences], the number of ids of each."""

    ids: Int32s
    word_start: Flags
    lengths: Int64s


@bare_kernel
def look_up(
    batch: Batch, cache: WordCache, model: PieceModel, work: Work, out: Output, state: Int64s
) -> Int:
    """Write the ids of the batch's words from where `state` stands; returns DONE, or why it stopped
    at the word where `state` stands then.

    Args:
        batch: words that were cut.
        cache: words seen before.
        model: encodes the others.
        work: arrays to work in.
        out: where to write. `out.lengths` may be the same array as `batch.ends`.
        state: int64 [STATE_FIELDS].
    """
    words, short, ids, word_start = batch.words, cache.short, out.ids, out.word_start
    limit = len(ids) - MARGIN
    at, word = state[WRITTEN], state[WORD]
    while True:
        sentence = state[LOOKED_UP]
        is_closed = sentence < state[SENTENCE]
        last = batch.ends[sentence] if is_closed else state[WORDS]
        while word < last:
            # Looking up waits for memory, so the cache line of a later word is asked for early.
            prefetch(short, place_of(short, peek(words, (word + AHEAD) * FIELDS + 2)))
            field = word * FIELDS
            low, high = peek(words, field), peek(words, field + 1)
            place = find_short(short, place_of(short, peek(words, field + 2)), low, high)
            put = np.int64(OUTPUT_FULL)
            if at <= limit:
                if place < 0:
                    put = _put_new(batch, word, -1 - place, cache, model, work, out, at, state)
                else:
                    put = emit_short(short, place, ids, word_start, at)
                    if put == -1:
                        put = emit_short_pooled(cache, place, ids, word_start, at)
            if put < 0:
                state[WRITTEN], state[WORD] = at, word
                return put
            at = put
            word += 1
        if not is_closed:
            break
        out.lengths[sentence] = at - state[BEGUN]
        state[BEGUN] = at
        state[LOOKED_UP] = sentence + 1
    state[WRITTEN], state[WORD] = at, word
    return DONE


@bare_inner_kernel
def _put_new(
    batch: Batch,
    word: Int,
    place: Int,
    cache: WordCache,
    model: PieceModel,
    work: Work,
    out: Output,
    at: Int,
    state: Int64s,
) -> Int:
    """Write the ids of a word of the batch that is no key in the cache.

    Args:
        place: where in the cache it belongs if it is a key.

    Returns:
        Where the next ids go, or a reason.
    """
    words = batch.words
    low, high = words[word * FIELDS], words[word * FIELDS + 1]
    is_key = high < NO_KEY
    if high >= UNSAFE:
        return UNSAFE_TEXT
    length = key_length(high) if is_key else np.int64(high & _LENGTH)
    is_kept = length <= LONGEST_KEPT
    slot = np.int64(0)
    if is_kept and not is_key:
        slot = _slot_of(batch, word, cache)
        if slot >= 0:
            start, count = cache.long_places[4 * slot + 2], cache.long_places[4 * slot + 3]
            return emit_pooled(cache, start, count, out.ids, out.word_start, at)
    room = len(work.lead) + length + 16
    if is_kept and not has_room(cache, room):
        return CACHE_FULL
    if room > len(work.word):
        return SCRATCH_FULL
    if at + room > len(out.ids):
        return OUTPUT_FULL
    count = _encode(_copy_word(batch, word, length, work), is_kept, cache, model, work, state)
    if count < 0:
        return count
    if is_key:
        add_short(cache, place, low, high, work.ids, count)
    elif is_kept:
        pool_ids(cache, work.ids, count)
        begin = np.int64(low)
        code = words[word * FIELDS + 2]
        add_long(cache, -1 - slot, batch.letters, begin, begin + length, code, count)
    for i in range(count):
        out.ids[at + i] = work.ids[i]
        out.word_start[at + i] = np.uint8(i == 0)
    return at + count


@bare_melted_kernel
def _slot_of(batch: Batch, word: Int, cache: WordCache) -> Int:
    """As `find_long` for a long word of the batch."""
    field = word * FIELDS
    begin = np.int64(batch.words[field])
    end = begin + np.int64(batch.words[field + 1] & _LENGTH)
    return find_long(cache, batch.letters, begin, end, batch.words[field + 2])


@bare_melted_kernel
def _copy_word(batch: Batch, word: Int, length: Int, work: Work) -> Int:
    """Copy a word into the work arrays, behind its lead; returns the length of both."""
    field = word * FIELDS
    low, high = batch.words[field], batch.words[field + 1]
    begin = len(work.lead)
    if high < NO_KEY:
        write_key(low, high, work.word, begin)
    else:
        for i in range(length):
            work.word[begin + i] = batch.letters[np.int64(low) + i]
    if begin and length and work.word[begin] == _SPACE:
        length -= 1
        for i in range(length):
            work.word[begin + i] = work.word[begin + i + 1]
    for i in range(begin):
        work.word[i] = work.lead[i]
    return begin + length


@bare_melted_kernel
def _encode(
    length: Int, is_kept: Any, cache: WordCache, model: PieceModel, work: Work, state: Int64s
) -> Int:
    """Encode the word in the work arrays; returns the number of its ids, or a reason."""
    if work.new_words == NUMBERED and is_kept:
        work.ids[0] = cache.used[SHORT_USED] + cache.used[LONG_USED]
        return 1
    if work.new_words != ENCODED:
        return UNSAFE_TEXT
    outcome = _check(work.checked, work, length, state)
    if outcome != DONE:
        return outcome
    start: Int = np.int64(0)
    count = encode_word(model, work.word, start, length, work.ids, work.scratch)
    if count < 0:
        return UNSAFE_TEXT
    for i in range(count):
        work.ids[i] = work.written_as[work.ids[i]]
        if work.ids[i] < 0:
            return UNSAFE_TEXT
    return count


@bare_melted_kernel
def _check(checked: Bytes | None, work: Work, length: Int, state: Int64s) -> Int:
    """Whether all characters of a word, behind its lead, stand for themselves."""
    if checked is not None:
        at = len(work.lead)
        while at < length:
            code = decode(work.word, at)
            kind = checked[code]
            if kind == NOT_LOADED:
                state[CODE] = code
                return PAGE_MISSING
            if kind != PART:
                return UNSAFE_TEXT
            at += length_of(work.word[at])
    return DONE


@bare_kernel
def keep_word(batch: Batch, word: Int, cache: WordCache, ids: Int32s, word_start: Flags) -> None:
    """Keep what the library made of a word of the batch, if it is short enough and there is room.

    Args:
        ids: int32, as it gave them; they may be of several words, or begin none.
        word_start: uint8, of the same length.
    """
    field = word * FIELDS
    low, high, code = batch.words[field], batch.words[field + 1], batch.words[field + 2]
    if high >= UNSAFE or not has_room(cache, len(ids)):
        return
    if high < NO_KEY:
        place = find_short(cache.short, place_of(cache.short, code), low, high)
        if place < 0:
            pool_marked(cache, ids, word_start)
            add_short_pooled(cache, -1 - place, low, high, len(ids))
        return
    begin, end = np.int64(low), np.int64(low) + np.int64(high & _LENGTH)
    slot = _slot_of(batch, word, cache)
    if end - begin <= LONGEST_KEPT and slot < 0:
        pool_marked(cache, ids, word_start)
        add_long(cache, -1 - slot, batch.letters, begin, end, code, len(ids))
