"""The other six noises of T5: exact numbers, uniform choices, and the way back."""

from __future__ import annotations

from collections import Counter
from fractions import Fraction
from itertools import combinations, groupby, permutations

import numpy as np
import pytest
import slow_denoising as slow
from denoising_examples import T5, bare, chi_square_fits, counting_rows, lists, t5_vocabulary
from hypothesis import given
from hypothesis import strategies as st

from lmprep.objective_settings import NOISES, T5Settings
from lmprep.objectives.t5 import corrupt, restore
from lmprep.objectives.t5.prefix_lm import prefix_lengths
from lmprep.objectives.t5.replace_spans import limit_runs, shortfall
from lmprep.objectives.t5.token_mask import token_mask
from tests.strategies import keys_of, seeds

END = T5.sep
MANY = t5_vocabulary(sentinels=400, size=2000)

lengths = st.lists(st.integers(0, 40), min_size=1, max_size=6)
densities = st.fractions(Fraction(1, 100), Fraction(99, 100), max_denominator=100)


def corrupted(rows, settings, vocabulary=T5, seed=0):
    return corrupt(bare(rows), settings, vocabulary, keys_of(len(rows), seed))


def expected(row, settings, vocabulary, key):
    """Inputs, labels and noise positions of one row, by the laws in plain words."""
    density, mask = settings.density, None
    if settings.noise in ("replace-spans", "drop-tokens", "bert-style", "mass"):
        mask = slow.token_mask(len(row), density, key)
    if settings.noise == "replace-spans":
        mask = slow.limited(mask, len(vocabulary.sentinels) - settings.final_sentinel, key)
        final = settings.final_sentinel
        return (*slow.splice(row, mask, vocabulary.sentinels, END, final=final), None)
    if settings.noise == "drop-tokens":
        noise = [t for t, taken in enumerate(mask) if taken]
        kept = [token for token, taken in zip(row, mask, strict=True) if not taken]
        return [*kept, END], [*(row[t] for t in noise), END], noise
    if settings.noise == "prefix-lm":
        split = slow.prefix_length(len(row), density, key)
        return [*row[:split], END], [*row[split:], END], None
    if settings.noise == "deshuffle":
        return [*slow.shuffled(row, key), END], [*row, END], None
    share = Fraction(1, 10) if settings.noise == "bert-style" else Fraction(0)
    pool, name = vocabulary.replacements, vocabulary.sentinels[0]
    return [*slow.hide(row, mask, name, share, pool, key), END], [*row, END], None


@st.composite
def settings_of(draw, noise):
    density = None if noise == "deshuffle" else draw(densities)
    final = noise == "replace-spans" and draw(st.booleans())
    return T5Settings(noise=noise, noise_density=density, final_sentinel=final)


@pytest.mark.parametrize("noise", NOISES[1:])
@given(st.data(), lengths, seeds)
def test_columns_equal_the_law_in_plain_words(noise, data, lengths, seed):
    settings = data.draw(settings_of(noise))
    vocabulary = t5_vocabulary(sentinels=data.draw(st.sampled_from([3, 100])))
    rows, keys = counting_rows(lengths), keys_of(len(lengths), seed)
    columns = corrupt(bare(rows), settings, vocabulary, keys)
    wanted = [
        expected(row, settings, vocabulary, int(key)) for row, key in zip(rows, keys, strict=True)
    ]

    assert lists(columns, "input_ids") == [inputs for inputs, _, _ in wanted]
    assert lists(columns, "labels") == [labels for _, labels, _ in wanted]
    if noise == "drop-tokens":
        assert lists(columns, "noise_positions") == [positions for _, _, positions in wanted]
    else:
        assert columns.keys() == {"input_ids", "labels"}


@pytest.mark.parametrize("final", [False, True])
@pytest.mark.parametrize("noise", NOISES)
def test_restoring_gives_back_rows_of_every_length(noise, final):
    final = final and noise in ("random-spans", "replace-spans")
    settings = T5Settings(noise=noise, final_sentinel=final)
    sequences = bare(counting_rows(range(1, 601)))
    before = sequences.ids.copy()
    columns = corrupt(sequences, settings, MANY, keys_of(600))
    restored = restore({**columns, **sequences.provenance()}, settings, MANY)

    assert np.array_equal(sequences.ids, before)
    assert np.array_equal(restored.ids, before)
    assert np.array_equal(restored.offsets, sequences.offsets)
    assert np.array_equal(restored.document, sequences.document)
    assert np.array_equal(restored.first_sentence, sequences.first_sentence)
    assert restored.maskable.all()
    assert restored.word_start.all()


@pytest.mark.parametrize("noise", NOISES)
def test_rows_restore_in_another_order_and_alone(noise):
    settings = T5Settings(noise=noise)
    sequences = bare(counting_rows([7, 30, 1, 12]))
    columns = corrupt(sequences, settings, T5, keys_of(4))
    some = np.array([3, 0])
    taken = {name: column.take(some) for name, column in columns.items()}
    provenance = {"document": some, "first_sentence": some}
    restored = restore({**taken, **provenance}, settings, T5)
    rows = counting_rows([7, 30, 1, 12])

    assert restored.ids.tolist() == rows[3] + rows[0]


@pytest.mark.parametrize("noise", NOISES)
def test_the_same_key_draws_the_same_and_another_key_something_else(noise):
    settings, rows = T5Settings(noise=noise), counting_rows([50] * 20)
    first, again, other = (corrupted(rows, settings, seed=seed) for seed in (1, 1, 2))

    assert lists(first, "input_ids") == lists(again, "input_ids")
    assert lists(first, "input_ids") != lists(other, "input_ids")


@pytest.mark.parametrize("noise", NOISES)
def test_rows_of_one_token_are_all_noise_and_come_back(noise):
    settings = T5Settings(noise=noise)
    columns = corrupted([[7]], settings)
    inputs = {
        "random-spans": [999], "replace-spans": [999], "drop-tokens": [], "prefix-lm": [],
        "mass": [999], "deshuffle": [7],
    }  # fmt: skip

    if noise != "bert-style":
        assert lists(columns, "input_ids") == [[*inputs[noise], END]]
    assert 7 in columns["labels"].values


@pytest.mark.parametrize(("density", "k"), [("0.2", 1), ("0.5", 2), ("0.7", 4), ("0.9", 4)])
def test_every_set_of_exactly_k_tokens_is_equally_likely(density, k):
    # 5 tokens: 2.5 rounds to the even 2, 3.5 to the even 4, 4.5 to the even 4.
    rows = 40_000
    mask = token_mask(bare([range(5, 10)] * rows), Fraction(density), keys_of(rows))
    found = Counter(map(tuple, mask.reshape(rows, 5).tolist()))
    sets = [tuple(t in chosen for t in range(5)) for chosen in combinations(range(5), k)]

    assert found.keys() == set(sets)
    assert chi_square_fits([found[each] for each in sets], [rows / len(sets)] * len(sets))


def test_512_tokens_have_77_of_noise_in_each_of_the_iid_noises():
    rows = counting_rows([512] * 20)
    dropped = corrupted(rows, T5Settings(noise="drop-tokens"))
    replaced = corrupted(rows, T5Settings(noise="replace-spans"))
    hidden = corrupted(rows, T5Settings(noise="mass"))

    assert dropped["noise_positions"].lengths.tolist() == [77] * 20
    assert [sum(i <= 899 for i in row) - 1 for row in lists(replaced, "labels")] == [77] * 20
    assert [row.count(999) for row in lists(hidden, "input_ids")] == [77] * 20


def test_surplus_runs_are_left_unselected_every_set_equally_likely_and_counted():
    # Three runs, of one, two and one tokens, and two sentinels: one run of three is left out.
    rows, pattern = 30_000, [1, 0, 1, 1, 0, 1]
    mask = np.array(pattern * rows, bool)
    limit_runs(mask, np.arange(rows + 1) * 6, 2, keys_of(rows))
    found = Counter(map(tuple, mask.reshape(rows, 6).astype(int).tolist()))
    sets = [(1, 0, 1, 1, 0, 0), (1, 0, 0, 0, 0, 1), (0, 0, 1, 1, 0, 1)]

    assert found.keys() == set(sets)
    assert chi_square_fits([found[each] for each in sets], [rows / 3] * 3)


@pytest.mark.parametrize("final", [False, True])
def test_the_shortfall_is_the_noise_that_no_sentinel_was_left_for(final):
    settings = T5Settings(noise="replace-spans", final_sentinel=final)
    few, rows = t5_vocabulary(sentinels=20), counting_rows([512, 10, 1, 300])
    columns = {
        **corrupted(rows, settings, few),
        "document": np.arange(4),
        "first_sentence": np.zeros(4, np.int32),
    }
    noise = [sum(i < 900 for i in row) - 1 for row in lists(columns, "labels")]
    sentinels = [sum(i >= 900 for i in row) - final for row in lists(columns, "labels")]
    missing = shortfall(columns, settings, few).tolist()

    assert sentinels[0] == sentinels[3] == 20 - final
    assert missing == [77 - noise[0], 0, 0, 45 - noise[3]]
    assert min(missing[0], missing[3]) > 0
    restored = restore(columns, settings, few)
    assert restored.ids.tolist() == [token for row in rows for token in row]


def test_replaced_runs_never_touch():
    columns = corrupted(counting_rows([200] * 50), T5Settings(noise="replace-spans"))

    for row in lists(columns, "input_ids"):
        assert all(
            len(list(group)) == 1 for named, group in groupby(row, lambda i: i > 899) if named
        )


def test_a_tenth_of_the_bert_style_noise_is_random_from_the_ordinary_tokens():
    rows = 3000
    columns = corrupted([[T5.unk] * 100] * rows, T5Settings(noise="bert-style"))
    inputs = columns["input_ids"].values.reshape(rows, 101)[:, :-1]
    noise = inputs[inputs != T5.unk]
    random = noise[noise != 999]

    assert len(noise) == rows * 15
    assert abs(len(random) / len(noise) - 0.1) < 5 * np.sqrt(0.09 / len(noise))
    # The 897 ordinary ids are 3 to 899: 13 times 69.
    assert random.min() >= 3
    assert random.max() <= 899
    counts = np.bincount((random - 3) // 69, minlength=13)
    assert chi_square_fits(counts, [len(random) / 13] * 13)


def test_every_order_is_equally_likely():
    rows = 48_000
    columns = corrupted([[11, 12, 13, 14]] * rows, T5Settings(noise="deshuffle"))
    found = Counter(map(tuple, columns["input_ids"].values.reshape(rows, 5).tolist()))
    orders = [(*order, END) for order in permutations([11, 12, 13, 14])]

    assert found.keys() == set(orders)
    assert chi_square_fits([found[order] for order in orders], [rows / 24] * 24)


@pytest.mark.parametrize(
    ("length", "density", "shortest", "longest"),
    [(21, "0.5", 1, 20), (21, "0.25", 10, 20), (21, "0.75", 1, 10), (21, "0.01", 20, 20),
     (21, "0.99", 1, 1), (2, "0.5", 1, 1), (1, "0.5", 0, 0)],
)  # fmt: skip
def test_the_prefix_is_uniform_within_its_bounds(length, density, shortest, longest):
    rows = 40_000
    found = prefix_lengths(np.full(rows, length), Fraction(density), keys_of(rows))
    counts, ways = np.bincount(found, minlength=longest + 1), longest - shortest + 1

    assert counts.sum() == counts[shortest : longest + 1].sum() == rows
    if ways > 1:
        assert chi_square_fits(counts[shortest : longest + 1], [rows / ways] * ways)


@pytest.mark.parametrize("density", ["0.15", "0.5", "0.8"])
def test_the_density_of_prefix_lm_is_the_share_that_is_predicted(density):
    rows = 20_000
    settings = T5Settings(noise="prefix-lm", noise_density=Fraction(density))
    columns = corrupt(bare([range(5, 206)] * rows), settings, T5, keys_of(rows))
    shares = (columns["labels"].lengths - 1) / 200

    # The prefix has at least one token: the mean is off by at most one token of 200.
    assert abs(shares.mean() - float(Fraction(density))) < 5 * shares.std() / rows**0.5 + 1 / 200
