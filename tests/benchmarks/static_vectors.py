"""word2vec and GloVe beside gensim's word2vec: speed, and how similarities go with people's.

    python tests/benchmarks/static_vectors.py CORPUS.jsonl [--epochs 3] [--pairs FILE ...]

Both see the same words in the same rows (a vocabulary of 20,000 words, the stored subsampling),
with the same window, negatives, width and number of epochs, on two cores: ours with one thread that
draws ahead on the second core, and with two; gensim with one worker and with two. GloVe counts the
same words in windows of 10 and learns for `--glove-epochs`; its seconds are those of both. Other
preparation is not counted. `agreement` is Spearman's correlation of the similarities of word pairs
with those of gensim's first run; its run with another seed shows how far that goes. The other
columns are the correlations with the scores of people in files of `word word score`.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from gensim.models import KeyedVectors, Word2Vec
from scipy.stats import spearmanr

from lmprep.batches import ragged
from lmprep.shards.reader import Dataset
from lmprep.training.embeddings import token_words
from lmprep.vectors.settings import VectorSettings
from lmprep.vectors.training import train_vectors

WIDTH, WINDOW, NEGATIVES = 100, 5, 5


def lmprep(*arguments: object) -> None:
    subprocess.run([sys.executable, "-m", "lmprep", *map(str, arguments)], check=True)


def prepared(corpus: Path, folder: Path) -> Path:
    """A dataset of the corpus."""
    lmprep("vocab", corpus, "-o", folder / "tok", "--algorithm", "word", "--size", 20_000)
    lmprep(
        "build", "skipgram", corpus, "-t", folder / "tok", "-o", folder / "out",
        "--subsample", "1e-3", "--window", WINDOW, "--negatives", NEGATIVES,
    )  # fmt: skip
    return folder / "out"


def ours(dataset: Path, run: Path, model: str, epochs: int, threads: int):
    """Vectors and seconds."""
    settings = VectorSettings(model=model, width=WIDTH, epochs=epochs, threads=threads)
    result = train_vectors(dataset, run, settings)
    return KeyedVectors.load_word2vec_format(str(run / "vectors.txt")), result.seconds


def glove(corpus: Path, folder: Path, epochs: int, threads: int):
    """Vectors and seconds: of counting, on as many cores, and of learning."""
    counts = folder / f"counts-{threads}"
    begin = time.perf_counter()
    lmprep(
        "build", "cooccurrence", corpus, "-t", folder / "tok", "-o", counts, "--window", 10,
        "--workers", threads,
    )  # fmt: skip
    counting = time.perf_counter() - begin
    vectors, seconds = ours(counts, folder / f"glove-{threads}", "glove-small", epochs, threads)
    return vectors, counting + seconds


def theirs(dataset: Path, sg: int, epochs: int, workers: int, seed: int = 1):
    """Vectors and seconds."""
    found = Dataset(dataset)
    words = {id: word for word, id in token_words(dataset / "tokenizer").items()}
    rows = ragged(found.rows(np.arange(len(found))), "input_ids")
    sentences = [[words[id] for id in row.tolist()] for row in rows]
    model = Word2Vec(
        vector_size=WIDTH, window=WINDOW, negative=NEGATIVES, sg=sg, sample=0, min_count=1,
        workers=workers, seed=seed, alpha=0.025 if sg else 0.05,
    )  # fmt: skip
    counts = found.word_counts  # before subsampling, as the law of the negatives has them
    model.build_vocab_from_freq({words[id]: int(counts[id]) for id in np.flatnonzero(counts)})
    begin = time.perf_counter()
    model.train(sentences, total_examples=len(sentences), epochs=epochs)
    return model.wv, time.perf_counter() - begin


def similarities(vectors: KeyedVectors, pairs: list[tuple[str, str]]) -> list[float]:
    return [float(vectors.similarity(*pair)) for pair in pairs]


def read_pairs(path: Path) -> dict[tuple[str, str], float]:
    lines = [line.split() for line in path.read_text().splitlines() if not line.startswith("#")]
    return {(a.lower(), b.lower()): float(score) for a, b, score in lines}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("corpus", type=Path)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--glove-epochs", type=int, default=5)
    parser.add_argument("--pairs", type=Path, nargs="*", default=[])
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        dataset = prepared(given.corpus, folder)
        files = {path.stem: read_pairs(path) for path in given.pairs}
        for model, sg in (("word2vec-small", 1), ("cbow-small", 0)):
            results = {
                "gensim, 1 worker": theirs(dataset, sg, given.epochs, 1),
                "gensim, 2 workers": theirs(dataset, sg, given.epochs, 2, seed=2),
            }
            for threads in (1, 2):
                run = folder / f"{model}-{threads}"
                key = f"lmprep, {threads} thread{'s' * (threads > 1)}"
                results[key] = ours(dataset, run, model, given.epochs, threads)
            if sg:
                for threads in (1, 2):
                    key = f"GloVe, {threads} thread{'s' * (threads > 1)}"
                    results[key] = glove(given.corpus, folder, given.glove_epochs, threads)
            show(model, results, files)


def show(model: str, results: dict, files: dict[str, dict[tuple[str, str], float]]) -> None:
    print(f"\n{model}\n{'':20}{'seconds':>12}{'agreement':>12}", *(f"{n[:20]:>22}" for n in files))
    reference = results["gensim, 1 worker"][0]
    random = np.random.default_rng(0)
    frequent = [w for w in reference.index_to_key[100:3000] if w.isalpha()]
    sample = [tuple(random.choice(frequent, 2, replace=False)) for _ in range(5000)]
    expected = similarities(reference, sample)
    for name, (vectors, seconds) in results.items():
        agreement = spearmanr(similarities(vectors, sample), expected)[0]
        columns = []
        for pairs in files.values():
            known = {p: s for p, s in pairs.items() if all(word in vectors for word in p)}
            human = spearmanr(similarities(vectors, list(known)), list(known.values()))[0]
            columns.append(f"{human:>13.3f} ({len(known):>4})  ")
        print(f"{name:20}{seconds:>12.1f}{agreement:>12.3f}", *columns)


if __name__ == "__main__":
    main()
