"""The page in a real browser."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from lmprep.report.report import write_report
from tests.corpora import build_dataset, make_tokenizer, write_corpus
from tests.report.pages import (
    HOSTILE,
    chromium,
    hostile_corpus,
    hostile_tokenizer,
    opened,
)


@pytest.fixture(scope="module")
def browser():
    with chromium() as browser:
        yield browser


@pytest.fixture(scope="module")
def folder(tmp_path_factory, quick_disk) -> Path:
    """A dataset of NSP pairs `mlm`, of spans `t5`, their tokenizers, and the page of all four."""
    folder = tmp_path_factory.mktemp("report")
    corpus = write_corpus(folder / "corpus.txt", documents=30)
    for family, objective in (("bert", "mlm"), ("t5", "t5")):
        tokenizer = make_tokenizer(corpus, folder / f"tok-{family}", family=family)
        build_dataset(corpus, tokenizer, folder / objective, objective=objective)
    subjects = [folder / name for name in ("mlm", "t5", "tok-bert", "tok-t5")]
    write_report(subjects, folder / "all.html")
    return folder


@pytest.fixture
def page(browser, folder):
    with opened(browser, folder / "all.html") as page:
        yield page


def rows(page, dataset: str = "dataset-0"):
    return page.locator(f"[data-examples={dataset}] article")


def found(page, dataset: str = "dataset-0") -> str:
    return page.locator(f"[data-examples={dataset}] .where").inner_text()


def test_rows_are_shown_with_roles_written_at_the_tokens(page):
    first = rows(page).first

    assert rows(page).count() == 8
    assert "to predict" in first.locator(".about").inner_text()
    assert first.locator(".masked small").first.inner_text().startswith("masked: was ")
    assert {h.inner_text() for h in first.locator("h5").all()} == {"Corrupted", "Original"}


def test_the_original_has_the_token_that_the_mask_hides(page):
    first = rows(page).first
    hidden = [s.inner_text() for s in first.locator(".masked small, .random small").all()]
    sides = first.locator(".sides > div")
    left = [t.inner_text() for t in sides.nth(0).locator("bdi").all()]
    right = [t.inner_text() for t in sides.nth(1).locator("bdi").all()]

    assert hidden
    assert len(left) == len(right)
    changed = [b for a, b in zip(left, right, strict=True) if a != b]
    assert changed == [text.split("was ")[1] for text in hidden]


def test_spans_stand_behind_sentinels(page):
    first = rows(page, "dataset-1").first
    predicted = [t.inner_text() for t in first.locator(".predicted bdi").all()]
    target = first.locator("ol").nth(1)

    assert first.locator(".sentinel small").first.inner_text() == "sentinel"
    assert [t.inner_text() for t in target.locator(".text bdi").all()] == predicted


def test_a_search_finds_words_across_their_pieces_and_nothing_finds_nothing(page, folder):
    words = (folder / "corpus.txt").read_text().lower().replace(".", "").split()
    word = max(words, key=len)
    search = page.locator("[data-examples=dataset-0] input[type=search]")
    search.fill(word.upper())
    page.wait_for_function(
        "() => document.querySelector('.where').textContent.includes('on this page')"
    )
    matches = int(found(page).split(" of ")[1].split()[0])

    assert matches > 0
    for row in rows(page).all():
        original = "".join(
            t.inner_text() for t in row.locator(".sides > div").nth(1).locator("bdi").all()
        )
        assert word in original.replace("##", "")
    search.fill("no such text anywhere")
    page.wait_for_function(
        "() => document.querySelector('.where').textContent.startsWith('No row')"
    )
    assert rows(page).count() == 0


def test_a_document_and_a_role_can_be_chosen(page):
    selects = page.locator("[data-examples=dataset-0] select")
    name = selects.nth(0).locator("option").nth(1).inner_text().split(" (")[0]
    selects.nth(0).select_option(index=1)

    assert rows(page).count() > 0
    assert all(name in row.locator(".about").inner_text() for row in rows(page).all())
    selects.nth(0).select_option(index=0)
    selects.nth(1).select_option("r")
    assert all(row.locator(".random").count() for row in rows(page).all())


def test_the_keyboard_reaches_pages_and_tokens(page):
    page.locator("[data-examples=dataset-0] button").nth(1).focus()
    page.keyboard.press("Enter")
    assert found(page).startswith("9 to ")
    page.keyboard.press("Tab")  # the first token of the first line
    first = page.evaluate("document.activeElement.about")
    page.keyboard.press("ArrowRight")
    second = page.evaluate("document.activeElement.about")
    page.keyboard.press("End")
    last = page.evaluate("document.activeElement.about")

    assert first.startswith("position 0 · id 2 · token [CLS]")
    assert second.startswith("position 1 · id ")
    assert last.endswith("token [SEP] · segment B · special")
    assert page.locator("#tip").inner_text() == last
    page.keyboard.press("Escape")
    assert page.locator("#tip").is_hidden()


def test_pointing_at_a_token_tells_its_id(page):
    rows(page).first.locator(".masked").first.hover()

    assert "id 4 · token [MASK] · masked · to be predicted: " in page.locator("#tip").inner_text()


def test_everything_that_can_be_used_has_a_name(page):
    for control in page.locator("input, select, button, [tabindex='0'][role]").all():
        assert control.evaluate("e => (e.labels?.[0] ?? e).textContent || e.ariaLabel")
    for picture in page.locator("main svg[role=img]").all():
        assert picture.get_attribute("aria-label")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_is_legible_in_light_and_dark(browser, folder, scheme):
    """WCAG's contrast of at least 4.5, of every role too."""
    with opened(browser, folder / "all.html", scheme) as page:
        pairs = page.evaluate(
            """() => [...document.querySelectorAll('.token, .about, a, td, dd')].map((e) => {
              const behind = (one) => getComputedStyle(one).backgroundColor;
              let on = e;
              while (behind(on) === 'rgba(0, 0, 0, 0)') on = on.parentElement;
              return [getComputedStyle(e).color, behind(on)];
            })"""
        )
        dark = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (luminance(dark) < 0.1) == (scheme == "dark")
    assert min(contrast(*pair) for pair in set(map(tuple, pairs))) >= 4.5


def luminance(colour: str) -> float:
    channels = [int(part) / 255 for part in colour[4:-1].split(",")]
    linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return sum(w * c for w, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def contrast(one: str, other: str) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def test_hostile_text_is_text(browser, tmp_path):
    corpus = hostile_corpus(tmp_path / "<img src=x onerror=window.hit=1>.jsonl")
    tokenizer = hostile_tokenizer(tmp_path / "<b>tok&amp;")
    out = build_dataset(corpus, tokenizer, tmp_path / "</title><script>window.hit=1<", pairs="none",
                        partition_bytes=64_000_000)  # fmt: skip
    results = tmp_path / "r.json"
    results.write_text(json.dumps({"dev": {HOSTILE[0]: {"mean": 0.5}, HOSTILE[1]: {"mean": 1.0}}}))
    write_report([out, tokenizer, results], tmp_path / "page.html", list(HOSTILE))

    assert (tmp_path / "page.html").stat().st_size < 2_000_000
    with opened(browser, tmp_path / "page.html") as page:
        assert page.evaluate("window.hit") is None
        assert page.locator("img, body > script:not([type])").count() == 3  # our own programs
        pages = page.locator("[data-examples] button").nth(1)
        shown = set()
        while True:
            shown |= {t.inner_text() for t in rows(page).locator("bdi").all()}
            if pages.is_disabled():
                break
            pages.click()
        splits = {t.inner_text() for t in page.locator("[data-splits] bdi").all()}
        assert page.locator("#finetuning tbody th").all_inner_texts() == list(HOSTILE[:2])
    for said in (shown, splits):
        assert set(HOSTILE[:5]) <= said
        assert {r"\u202egnp.exe", r"\x00\x1b[31m"} <= said
        assert {"__proto__", "constructor"} <= said
        assert max(map(len, said)) < 200
    assert any(text.endswith("x… (1,000,000 characters)") for text in shown)
    assert r"a\u2028b\u2029c" in splits  # in a record it would end sentences


def test_a_hundred_thousand_rows_are_a_sample_and_quick(browser, tmp_path, quick_disk):
    corpus = tmp_path / "corpus.txt"
    corpus.write_text("ba ke lo mi nu.\n\n" * 100_000)
    tokenizer = make_tokenizer(corpus, tmp_path / "tok", size=40)
    out = build_dataset(corpus, tokenizer, tmp_path / "big", pairs="none",
                        partition_bytes=64_000_000)  # fmt: skip
    write_report([out], tmp_path / "big.html")

    assert (tmp_path / "big.html").stat().st_size < 2_000_000
    started = time.monotonic()
    with opened(browser, tmp_path / "big.html") as page:
        assert (
            page.locator(".sampled").inner_text().startswith("A sample: 1,000 of the 100,000 rows")
        )
        page.locator("input[type=search]").fill("lo mi")
        page.wait_for_function(
            "() => /on this page|of 1000/.test(document.querySelector('.where').textContent)"
        )
        page.locator("select").first.select_option(index=5)
        assert rows(page).count() == 1
    assert time.monotonic() - started < 5
