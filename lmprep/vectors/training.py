"""Training word vectors into a run folder: epochs over blocks, checkpoints, the result.

RUN/vectors.txt           the vectors of the words that occur, as text (word2vec's format)
RUN/vectors.safetensors   `vectors`, float32 [V, D]: those of all ids
RUN/unigram.npy           how often each id occurs in the dataset

Everything else is as in any run (`lmprep.training.run_folder`); a step is a block. With one thread
a run that was stopped and continued ends with the same bits as one that was not.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

from lmprep.shards.reader import Dataset
from lmprep.training import checkpoints, failures, run_folder
from lmprep.training.checkpoint_writer import CheckpointWriter
from lmprep.training.checkpoints import Checkpoint
from lmprep.training.clock import Clock
from lmprep.training.fit import check_traits, traits
from lmprep.training.interruption import StopRequest
from lmprep.training.loop import OnProgress
from lmprep.training.metrics import MetricsWriter, Progress, cut_metrics
from lmprep.training.prefetch import prefetched
from lmprep.training.pretraining import Result
from lmprep.vectors import folder
from lmprep.vectors.model import Block, WordVectors
from lmprep.vectors.scores import mean_loss
from lmprep.vectors.settings import VectorSettings
from lmprep.vectors.spectral import spectral_start
from lmprep.vectors.work import Work

_LAST_RATE = 1e-4  # of word2vec's, as a share of the first
_SECONDS_BETWEEN_CHECKPOINTS = 600.0


def train_vectors(
    dataset: Path,
    run: Path,
    settings: VectorSettings,
    *,
    validation: Path | None = None,
    resume: bool = False,
    on_progress: OnProgress = lambda _: None,
) -> Result:
    """Train word vectors on a dataset into a run folder.

    Args:
        dataset: of skip-gram or co-occurrence.
        run: must not exist, unless `resume` continues it; then the settings must be the same.
        validation: held-out dataset that is scored after every epoch; a run that is continued
            has its own, unless another is given.
        on_progress: called whenever a line of metrics is written.

    Raises:
        UsageError: settings, datasets and folder do not go together.
        Interrupted: a signal asked to stop, and a checkpoint was saved.
        CheckpointError: the run cannot be continued, or a checkpoint cannot be written.
        TrainingError: the loss is infinite or not a number.
    """
    with failures.full_disk_explained(run), StopRequest() as stop, ExitStack() as opened:
        with stop.at_once():
            work = Work(dataset, settings)
            if validation is None and resume and run.exists():
                validation = run_folder.recorded_validation(run)
            held_out = None if validation is None else _held_out(validation, settings, work)
            opened.enter_context(folder.opened(run, work, validation, resume=resume))
            training = _Training(run, work, held_out, on_progress)
            training.restore()
            training.begin()
        finished = training.finished
        if not finished:
            training.train(stop)
        folder.write_result(run, training.vectors)
    return training.result(already_finished=finished)


def _held_out(path: Path, settings: VectorSettings, work: Work) -> Work:
    check_traits(Dataset(path), traits(work.dataset.manifest), work.dataset.folder)
    return Work(path, settings, work.counts)


class _Training:
    """Vectors in training.

    Args:
        run: the run folder.
        work: what they learn from.
        held_out: what they are scored on; None without.
    """

    def __init__(
        self, run: Path, work: Work, held_out: Work | None, on_progress: OnProgress
    ) -> None:
        self.vectors = WordVectors(work.settings, work.dataset.vocabulary.size)
        self._run, self._work, self._held_out = run, work, held_out
        self._settings, self._on_progress = work.settings, on_progress
        self._writer = CheckpointWriter(run)
        self._clock = Clock()
        self._step = self._tokens = 0
        self._since = (0.0, 0, 0)  # loss, predictions and tokens since the last line
        self._line: dict[str, float] = {}
        self._validation: dict[str, float] = {}
        self._validation_step = 0
        self._saved: int | None = None
        self._saved_at = time.monotonic()

    @property
    def _blocks(self) -> int:
        return self._work.blocks * self._settings.epochs

    @property
    def finished(self) -> bool:
        """Is nothing left to learn from?"""
        return self._step == self._blocks

    def restore(self) -> None:
        """Go on from the newest intact checkpoint, if there is one; what came after it goes."""
        checkpoint = checkpoints.load_newest(self._run)
        if checkpoint is None:
            cut_metrics(self._run, 0)
            return
        state = checkpoint.state
        self._step = self._saved = state["step"]
        self._tokens, self._since = state["tokens"], tuple(state["since"])
        self._clock = Clock(state["seconds"])
        self.vectors.load(checkpoint.model, checkpoint.optimizer)
        checkpoints.discard_after(self._run, self._step)
        for line in cut_metrics(self._run, self._step):
            if "validation" in line:
                self._validation, self._validation_step = line["validation"], line["step"]
            elif "loss" in line:
                self._line = line

    def begin(self) -> None:
        """Give GloVe its first vectors, unless it goes on from a checkpoint."""
        if self._step == 0 and self._settings.start == "spectral":
            begun = time.monotonic()
            self.vectors.start_from(*spectral_start(self._work))
            self._clock = Clock(time.monotonic() - begun)

    def train(self, stop: StopRequest) -> None:
        """Learn until all epochs are done.

        Raises:
            Interrupted: a signal asked to stop; a checkpoint is saved.
        """
        blocks = (self._work.block(step) for step in range(self._step, self._blocks))
        self._clock.start()
        with (
            self._writer,
            closing(MetricsWriter(self._run, self._step)) as metrics,
            closing(prefetched(blocks)) as made,
            _pool(self._settings.threads) as pool,
        ):
            for block in made:
                self._learn(block, pool)
                if self._step % self._settings.log_every == 0 or self.finished:
                    self._report(metrics)
                self._end_of_block(metrics)
                if stop.kind is not None:
                    self._save()
                    self._writer.wait()
                    raise failures.stopped(
                        stop.kind, self._run, self._step, [self._work.dataset.folder]
                    )

    def _learn(self, block: Block, pool: ThreadPoolExecutor | None) -> None:
        loss = self.vectors.learn(block, self._rates(len(block)), pool)
        failures.refuse_not_finite(self._run, self._step, {"loss": loss})
        self._step += 1
        epoch, place = divmod(self._step, self._work.blocks)
        tokens = epoch * self._work.tokens + self._work.tokens * place // self._work.blocks
        sums, predictions, seen = self._since
        self._since = sums + loss, predictions + len(block), seen + tokens - self._tokens
        self._tokens = tokens

    def _rates(self, predictions: int) -> tuple[float, float]:
        """Of the next block: word2vec's fall linearly over the training, GloVe's stays."""
        if self.vectors.glove:
            return self._settings.lr, 0.0
        fall = self._settings.lr * (1 - _LAST_RATE) / self._blocks
        return self._settings.lr - self._step * fall, -fall / max(1, predictions)

    def _report(self, metrics: MetricsWriter) -> None:
        """Write a line over the blocks since the last one."""
        loss, predictions, tokens = self._since
        passed = self._clock.seconds - self._line.get("elapsed", 0.0)
        self._line = {
            **({"loss": loss / predictions} if predictions else {}),
            "lr": self._rates(1)[0],
            "tokens_per_second": tokens / max(passed, 1e-9),
            "elapsed": self._clock.seconds,
        }
        epoch = self._step / self._work.blocks
        metrics.write({"step": self._step, "tokens": self._tokens, "epoch": epoch, **self._line})
        self._since = 0.0, 0, 0
        self._on_progress(self._progress())

    def _progress(self) -> Progress:
        spent = self._step / self._blocks
        return Progress(
            step=self._step,
            fraction=spent,
            tokens=self._tokens,
            loss=self._line.get("loss", 0.0),
            tokens_per_second=self._line["tokens_per_second"],
            elapsed=self._clock.seconds,
            seconds_left=self._clock.seconds * (1 - spent) / spent,
            validation=self._validation,
            validation_step=self._validation_step,
            epoch=self._step / self._work.blocks,
            lr=self._line["lr"],
        )

    def _end_of_block(self, metrics: MetricsWriter) -> None:
        """Save after every epoch and every ten minutes, score after every epoch."""
        epoch_ends = self._step % self._work.blocks == 0
        late = time.monotonic() - self._saved_at > _SECONDS_BETWEEN_CHECKPOINTS
        if epoch_ends or late:
            with self._clock.paused():
                if epoch_ends and self._held_out is not None:
                    self._validate(self._held_out, metrics)
                self._save()

    def _validate(self, held_out: Work, metrics: MetricsWriter) -> None:
        figures = {"token_loss": mean_loss(self.vectors, held_out)}
        failures.refuse_not_finite(self._run, self._step, figures)
        self._validation, self._validation_step = figures, self._step
        metrics.write({"step": self._step, "validation": figures})

    def _save(self) -> None:
        if self._saved == self._step:
            return
        model, squares = self.vectors.tensors()
        state = {
            "step": self._step,
            "tokens": self._tokens,
            "since": list(self._since),
            "seconds": self._clock.seconds,
        }
        self._writer.save(Checkpoint(model=model, optimizer=squares, state=state))
        self._saved, self._saved_at = self._step, time.monotonic()

    def result(self, *, already_finished: bool) -> Result:
        """What the training came to."""
        return Result(
            run=self._run,
            step=self._step,
            tokens=self._tokens,
            seconds=self._clock.seconds,
            losses={"loss": self._line["loss"]} if "loss" in self._line else {},
            validation=self._validation,
            validation_step=self._validation_step,
            already_finished=already_finished,
        )


@contextmanager
def _pool(threads: int) -> Iterator[ThreadPoolExecutor | None]:
    """Threads that learn at once; None for one alone."""
    if threads == 1:
        yield None
        return
    with ThreadPoolExecutor(threads, "vectors") as pool:
        yield pool
