"""What a pretrained encoder is worth downstream: six tasks, several seeds, baselines beside it.

    python tests/benchmarks/downstream.py RUN DATA -o WORK [--only trec,snli] [--seeds 5]
                                          [--most 4000] [--epochs 4] [--jobs 1]

RUN is a run of `lmprep pretrain` or a folder of Hugging Face's layout; DATA holds the task files
named in `TASKS`. For each task the test figure of

    majority     the commonest label; of questions: nothing
    linear       logistic regression on TF-IDF of words and pairs of words; of tags the commonest
                 tag of each word; of questions the sentence of the context most like it
    random       the network of RUN from fresh weights, trained on the task alone
    frozen       features of RUN that stay, the sum of the last four layers, under a BiLSTM
    fine-tuned   all of RUN

as `mean ± standard deviation` over the seeds; the best epoch is chosen on dev. Everything sees the
same rows: the first `--most` of each training file. `--jobs` trainings run at once, for a GPU that
one small model does not fill. WORK keeps every training: a run that was interrupted goes on where
it stopped. Figures also go to WORK/figures.jsonl.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

from scipy.sparse import hstack
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression

from lmprep.finetuning.reading import read_records, read_sentences, read_text
from lmprep.finetuning.scores import answer_figures, label_figures, tag_figures

TASKS: dict[str, tuple[str, str, str]] = {  # kind, folder, figure
    "ewt_pos": ("tag", "tagging/ewt_pos", "accuracy"),
    "wnut17_ner": ("tag", "tagging/wnut17_ner", "f1"),
    "sentence_polarity": ("classify", "classification/sentence_polarity", "accuracy"),
    "trec": ("classify", "classification/trec", "accuracy"),
    "snli": ("pair", "pairs/snli", "accuracy"),
    "xquad_en": ("qa", "qa/xquad_en", "f1"),
}
WAYS = {
    "random": ("--random-init",),
    "frozen": ("--frozen", "--layers", "sum-last-4", "--bilstm"),
    "fine-tuned": (),
}
COLUMNS = ("majority", "linear", *WAYS)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("data", type=Path)
    parser.add_argument("-o", "--work", type=Path, required=True)
    parser.add_argument("--only", default=",".join(TASKS))
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--most", type=int, default=4000, help="training examples of a task")
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--jobs", type=int, default=1, help="trainings at once")
    arguments = parser.parse_args()
    names = arguments.only.split(",")
    files = {name: files_of(name, arguments) for name in names}
    rows = []
    with ThreadPoolExecutor(arguments.jobs) as pool:
        started = {
            name: {way: pool.submit(measured, name, way, files[name], arguments) for way in WAYS}
            for name in names
        }
        for name in names:
            rows.append(task_row(name, files[name], started[name]))
            print("  ".join(rows[-1]), file=sys.stderr, flush=True)
    header = ("task", "figure", *COLUMNS)
    for row in (header, ("---",) * len(header), *rows):
        print("| " + " | ".join(row) + " |")


def task_row(
    name: str, files: Mapping[str, Path], trainings: Mapping[str, Future[dict[str, Any]]]
) -> tuple[str, ...]:
    """All figures of a task."""
    kind, _, figure = TASKS[name]
    majority, linear = BASELINES[kind](files["train"], files["test"])
    cells = [f"{values[figure]:.3f}" if values else "" for values in (majority, linear)]
    for training in trainings.values():
        test = training.result()[figure]
        spread = "" if test["sd"] is None else f" ± {test['sd']:.3f}"
        cells.append(f"{test['mean']:.3f}{spread}")
    return (name, figure, *cells)


def measured(
    name: str, way: str, files: Mapping[str, Path], arguments: argparse.Namespace
) -> dict[str, Any]:
    """The test figures of a task learnt in one way, of all seeds."""
    kind, _, figure = TASKS[name]
    started = time.monotonic()
    test = trained(kind, way, files, arguments.work / name / way, arguments)
    note(arguments.work, name, way, test[figure], time.monotonic() - started)
    return test


def files_of(name: str, arguments: argparse.Namespace) -> dict[str, Path]:
    """The files of a task by their part, the training file shortened."""
    folder = arguments.data / TASKS[name][1]
    work = arguments.work / name
    work.mkdir(parents=True, exist_ok=True)
    files = {part: found(folder, part) for part in ("train", "dev", "test")}
    return files | {"train": shortened(files["train"], work, arguments.most)}


def found(folder: Path, part: str) -> Path:
    """The file of a part, packed or not."""
    (path,) = folder.glob(f"{part}.*")
    return path


def shortened(path: Path, work: Path, most: int) -> Path:
    """A copy with the first examples only; questions are few, and stay."""
    if ".json" in path.suffixes:
        return path
    text = read_text(path)
    end, lead = ("\n\n", 0) if ".conll" in path.suffixes else ("\n", 1)
    copy = work / path.name.removesuffix(".gz")
    copy.write_text(end.join(text.split(end)[: most + lead]) + end, encoding="utf-8")
    return copy


def trained(
    kind: str, way: str, files: Mapping[str, Path], out: Path, arguments: argparse.Namespace
) -> dict[str, Any]:
    """What `lmprep finetune` reports of the test file."""
    label = ("--label-field", "label") if kind in ("classify", "pair") else ()
    command = [
        sys.executable, "-m", "lmprep", "finetune", kind, arguments.run, "-o", out, "--json",
        "--train", files["train"], "--dev", files["dev"], "--test", files["test"], *label,
        "--seeds", arguments.seeds, "--epochs", arguments.epochs, *WAYS[way],
        *(("--resume",) if out.exists() else ()),
    ]  # fmt: skip
    ended = subprocess.run([str(word) for word in command], capture_output=True, text=True)
    if ended.returncode:
        raise SystemExit(f"{way}: {ended.stderr}")
    test: dict[str, Any] = json.loads(ended.stdout)["test"]
    return test


def note(work: Path, task: str, way: str, test: dict[str, Any], seconds: float) -> None:
    with (work / "figures.jsonl").open("a", encoding="utf-8") as file:
        line = {"task": task, "way": way, **test, "seconds": round(seconds, 1)}
        file.write(json.dumps(line) + "\n")


def text_baselines(train: Path, test: Path) -> tuple[dict[str, float], dict[str, float]]:
    """Of one text or two; two are also seen by the words they share."""
    rows = {part: [r.values for r in read_records(path, "tsv")] for part, path in
            (("train", train), ("test", test))}  # fmt: skip
    names = [name for name in ("text", "sentence1", "sentence2") if name in rows["train"][0]]
    views = [lambda row, name=name: row[name] for name in names]
    if len(names) == 2:
        views.append(lambda row: " ".join(words(row[names[0]]) & words(row[names[1]])))
        views.append(lambda row: " ".join(words(row[names[1]]) - words(row[names[0]])))
    seen: dict[str, list[Any]] = {"train": [], "test": []}
    for view in views:
        vectorizer = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True)
        seen["train"].append(vectorizer.fit_transform([view(row) for row in rows["train"]]))
        seen["test"].append(vectorizer.transform([view(row) for row in rows["test"]]))
    labels = {part: [row["label"] for row in rows[part]] for part in rows}
    model = LogisticRegression(C=10.0, max_iter=1000)
    model.fit(hstack(seen["train"]), labels["train"])
    right = labels["test"]
    commonest = Counter(labels["train"]).most_common(1)[0][0]
    given = model.predict(hstack(seen["test"])).tolist()
    return label_figures(right, [commonest] * len(right)), label_figures(right, given)


def words(text: str) -> set[str]:
    return set(re.findall(r"\w+", text.lower()))


def tag_baselines(train: Path, test: Path) -> tuple[dict[str, float], dict[str, float]]:
    """The commonest tag of all; the commonest of each word, and of all for words never seen."""
    of_word: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for sentence in read_sentences(train):
        for word, tag in zip(sentence.words, sentence.labels or (), strict=True):
            of_word[word][tag] += 1
    commonest = sum(of_word.values(), Counter()).most_common(1)[0][0]
    best = {word: tags.most_common(1)[0][0] for word, tags in of_word.items()}
    sentences = read_sentences(test)
    right = [sentence.labels or () for sentence in sentences]
    bio = any(tag.startswith("B-") for tags in right for tag in tags)
    blind = [[commonest] * len(sentence.words) for sentence in sentences]
    given = [[best.get(word, commonest) for word in sentence.words] for sentence in sentences]
    return tag_figures(right, blind, bio=bio), tag_figures(right, given, bio=bio)


def question_baselines(train: Path, test: Path) -> tuple[dict[str, float], dict[str, float]]:
    """No answer; the sentence of the context that is nearest to the question by TF-IDF."""
    content = json.loads(read_text(test))
    asked = [
        (paragraph["context"], question["question"], [a["text"] for a in question["answers"]])
        for article in content["data"]
        for paragraph in article["paragraphs"]
        for question in paragraph["qas"]
    ]
    given = []
    for context, question, _ in asked:
        sentences = re.split(r"(?<=[.!?])\s+", context)
        table = TfidfVectorizer().fit_transform([*sentences, question])
        given.append(sentences[int((table[:-1] @ table[-1].T).toarray().argmax())])
    right = [answers for *_, answers in asked]
    return answer_figures(right, [""] * len(right)), answer_figures(right, given)


BASELINES = {
    "classify": text_baselines,
    "pair": text_baselines,
    "tag": tag_baselines,
    "qa": question_baselines,
}


if __name__ == "__main__":
    main()
