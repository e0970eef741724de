"""Clean data of every objective passes, in every family and kind of sequences it takes."""

from fractions import Fraction

import pytest
from planted import dataset, kinds_of

from lmprep.checks.laws.subjects import SUBJECTS
from lmprep.checks.verify import verify
from lmprep.objective_settings import (
    FORMS,
    NOISES,
    BartSettings,
    InfoWordSettings,
    NgramSettings,
    SpanSettings,
    T5Settings,
    Ul2Settings,
)
from lmprep.objectives import OBJECTIVES

# Of two stages: these are tested on whole builds.
STATIC = {"skipgram", "cooccurrence"}
HALF, TENTH = Fraction(1, 2), Fraction(1, 10)

DEFAULTS = [(name, FORMS[name].settings()) for name in OBJECTIVES if name not in STATIC]
OTHERS = [
    *(("t5", T5Settings(noise=noise)) for noise in NOISES if noise != "random-spans"),
    ("t5", T5Settings(final_sentinel=True)),
    ("t5", T5Settings(noise_density=HALF, mean_span_length=2)),
    ("t5", T5Settings(noise="replace-spans", noise_density=HALF)),
    ("t5", T5Settings(noise="prefix-lm", noise_density=Fraction(1, 4))),
    ("ul2", Ul2Settings(weights="1,0,2.5,1,1,1,0")),
    ("ngram", NgramSettings(ngram_max=6, mask_rate=Fraction(2, 5))),
    ("span", SpanSettings(span_p=HALF, span_max=4, mask_rate=Fraction(2, 5))),
    ("infoword", InfoWordSettings(ngram_max=2)),
    ("bart", BartSettings(infill_rate=Fraction(0), mask_rate=TENTH, delete_rate=TENTH)),
    ("bart", BartSettings(permute_rate=Fraction(0), rotate_rate=HALF)),
    ("bart", BartSettings(insert_rate=TENTH, poisson_lambda=HALF, permute_rate=HALF)),
    (
        "bart",
        BartSettings(
            delete_rate=TENTH,
            mask_rate=TENTH,
            random_share=HALF,
            insert_rate=TENTH,
            rotate_rate=HALF,
        ),
    ),
]


def combinations():
    for objective, settings in DEFAULTS:
        for family in FORMS[objective].families:
            for kind in kinds_of(objective, settings):
                yield pytest.param(
                    objective, settings, family, kind, id=f"{objective}-{family}-{kind}"
                )
    for number, (objective, settings) in enumerate(OTHERS):
        for kind in kinds_of(objective, settings):
            yield pytest.param(
                objective, settings, FORMS[objective].families[0], kind,
                id=f"{objective}-{number}-{kind}",
            )  # fmt: skip


@pytest.mark.parametrize(("objective", "settings", "family", "kind"), list(combinations()))
def test_clean_data_passes_every_check(tmp_path, objective, settings, family, kind):
    copies = 2 if OBJECTIVES[objective].draws else 1
    checks = verify(
        dataset(
            tmp_path / "out",
            kind,
            objective=objective,
            settings=settings,
            family=family,
            copies=copies,
        )
    )

    assert [check for check in checks if not check.passed] == []
    assert len({check.name for check in checks}) == len(checks)


def test_every_objective_is_checked_and_laid_out_as_it_is_made():
    assert SUBJECTS.keys() == OBJECTIVES.keys()
    frames = {name: subject.frame for name, subject in SUBJECTS.items() if name != "cooccurrence"}
    assert frames == {name: OBJECTIVES[name].frame for name in frames}


@pytest.mark.parametrize("objective", sorted(set(OBJECTIVES) - STATIC))
def test_clean_data_passes_with_other_seeds(tmp_path, objective):
    for seed in range(1, 5):
        kind, settings = FORMS[objective].sequences[0], FORMS[objective].settings()
        family = FORMS[objective].families[0]
        folder = dataset(
            tmp_path / str(seed),
            kind,
            objective=objective,
            settings=settings,
            family=family,
            seed=seed,
        )
        assert [check for check in verify(folder) if not check.passed] == []


def test_a_large_dataset_leaves_no_check_undecided(tmp_path):
    """What is too few to judge in a small one must be decided in one of some thousand rows."""
    for objective, settings in [*DEFAULTS, *OTHERS]:
        folder = dataset(
            tmp_path / f"{objective}-{len(list(tmp_path.iterdir()))}",
            kinds_of(objective, settings)[0],
            objective=objective,
            settings=settings,
            family=FORMS[objective].families[0],
            documents=1500,
        )
        checks = verify(folder)
        assert [check for check in checks if not check.passed] == [], objective
        assert [check.name for check in checks if check.detail == "too few to judge"] == []
