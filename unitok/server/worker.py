"""The worker thread that owns the engine: jobs from any thread share one batch.

Knows jobs and the engine, no HTTP. A second thread makes codes of what is asked, however long that takes;
between two steps the first takes what is ready and drops what was cancelled.
"""

import logging
import threading
from collections import deque
from contextlib import suppress
from dataclasses import replace
from queue import SimpleQueue

from unitok.api.previews import Update, update_of
from unitok.api.unitok import UniTok
from unitok.document import Segment
from unitok.generation.requests import DocumentDone, Event, Request, SegmentDone, Written
from unitok.server.jobs import Accepted, Ending, Failed, Job, JobEvent, Progress, Running
from unitok.server.metrics import Metrics

log = logging.getLogger(__name__)


class Full(Exception):
    """There is no room for more jobs now."""


class Stopped(Exception):
    """The worker takes no more jobs, or gives up those it has."""


class Worker:
    """Writes the documents of all jobs.

    Args:
        model: who writes.
        rows: documents written at once.
        waiting: documents that may wait for a row; more are refused.
        metrics: where its figures go.
    """

    def __init__(self, model: UniTok, *, rows: int, waiting: int, metrics: Metrics):
        self.model, self.rows, self.metrics = model, rows, metrics
        self.most = rows + waiting
        self.held = 0
        self.engine = model.engine(batch_size=rows)
        self.failed = False
        self._jobs: set[Job] = set()
        self._running: dict[int, Running] = {}
        self._changed = threading.Condition()
        self._arrived: SimpleQueue[Job] = SimpleQueue()
        self._ready: deque[tuple[Job, Request | BaseException]] = deque()
        self._cancelled: deque[Job] = deque()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="engine", daemon=True)
        self._encoder = threading.Thread(target=self._encode, name="encoder", daemon=True)

    # -- from any thread

    def start(self) -> None:
        """Begin to work."""
        self._thread.start()
        self._encoder.start()

    def submit(self, job: Job) -> None:
        """Take a job; its news are told from now on.

        Raises:
            Full: more documents than there is room for.
            Stopped: the worker is stopping, or has failed.
        """
        with self._changed:
            if not self.alive:
                raise Stopped(self.why)
            if self.held + job.copies > self.most:
                raise Full(f"{self.held} documents are written or wait, the most is {self.most}")
            self.held += job.copies
            self._jobs.add(job)
        self._arrived.put(job)

    def cancel(self, job: Job) -> None:
        """Drop a job before the next step; nothing more is told. Does nothing where it is over."""
        with self._changed:
            if not job.over:
                self._cancelled.append(job)
                self._changed.notify()

    def stop(self, *, timeout: float = 10.0) -> None:
        """Give up all jobs and end the thread after its step."""
        with self._changed:
            self._stopping = True
            self._changed.notify()
        if self._thread.is_alive():
            self._thread.join(timeout)

    @property
    def alive(self) -> bool:
        """Whether jobs are taken and carried out."""
        return self._thread.is_alive() and self._encoder.is_alive() and not self._stopping

    @property
    def why(self) -> str:
        """Why no jobs are taken any more."""
        return "the server is stopping" if self._stopping and not self.failed else "the engine has failed"

    # -- the thread that makes codes

    def _encode(self) -> None:
        while True:
            job = self._arrived.get()
            if not job.over:
                self._ready.append((job, self._prepared(job)))
                with self._changed:
                    self._changed.notify()

    def _prepared(self, job: Job) -> Request | BaseException:
        """What is asked of the engine, or why that cannot be; no error ends the thread."""
        try:
            return job.prepare(self.model)
        except BaseException as error:
            _log_unforeseen(error)
            return error

    # -- the thread that owns the engine

    def _run(self) -> None:
        """Turns until the worker stops, or cannot go on; either way nobody is left waiting."""
        try:
            while self._turn():
                pass
        except BaseException:
            self.failed = True
            log.critical("the engine has failed and cannot be made anew", exc_info=True)
        finally:
            with self._changed:
                self._stopping = True
            for job in self._jobs:
                job.over = True
                self._tell(job, Failed(Stopped(self.why)))

    def _turn(self) -> bool:
        """Take what has come, then a step. What must not happen ends the jobs, not the server."""
        with self._changed:
            self._changed.wait_for(
                lambda: self._stopping or self._ready or self._cancelled or not self.engine.idle
            )
        if self._stopping:
            return False
        try:
            while self._cancelled:
                self._drop(self._cancelled.popleft())
            while self._ready:
                self._enter(*self._ready.popleft())
            if not self.engine.idle:
                self._step()
        except Exception as error:
            self._begin_anew(error)
        return True

    def _step(self) -> None:
        """One step of the engine."""
        events = self.engine.step()
        self.metrics.step(rows=min(len(self._running), self.rows))
        self._tell_all(events)

    def _begin_anew(self, error: Exception) -> None:
        """Another engine; whose documents the last one had are told."""
        log.exception("a step of the engine failed; its jobs are given up")
        self.engine = self.model.engine(batch_size=self.rows)
        for job in {running.job for running in self._running.values()}:
            self._fail(job, error)

    def _enter(self, job: Job, asked: Request | BaseException) -> None:
        """Hand a job's documents to the engine, unless it was dropped meanwhile."""
        if job.over:
            return
        if isinstance(asked, BaseException):
            return self._fail(job, asked)
        try:
            for copy in range(job.copies):
                number = self.engine.submit(replace(asked, copy=copy))
                job.numbers.add(number)
                self._running[number] = Running(job, copy, asked)
        except Exception as error:
            _log_unforeseen(error)
            return self._fail(job, error)
        self._tell(job, Accepted())

    def _drop(self, job: Job) -> None:
        """Take a job's documents out of the batch."""
        if not job.over:
            self.metrics.cancelled(len(job.numbers))
            self._end(job)

    def _fail(self, job: Job, error: BaseException) -> None:
        self._end(job)
        self._tell(job, Failed(error))

    def _end(self, job: Job) -> None:
        """Forget a job, whose documents leave the engine."""
        for number in job.numbers:
            self.engine.cancel(number)
            del self._running[number]
        job.numbers.clear()
        self._release(job.left)
        self._forget(job)

    def _release(self, documents: int) -> None:
        with self._changed:
            self.held -= documents

    def _forget(self, job: Job) -> None:
        with self._changed:
            job.over = True
            self._jobs.discard(job)

    # -- news

    def _tell(self, job: Job, news: JobEvent) -> None:
        with suppress(RuntimeError):  # of an event loop that was closed meanwhile
            job.tell(news)

    def _tell_all(self, events: list[Event]) -> None:
        """Tell what happened in a step; pictures that were completed together are decoded together."""
        events = [event for event in events if event.row in self._running]
        done = [event for event in events if isinstance(event, SegmentDone)]
        contents = iter(self.model.codec.decode_many([[event.segment] for event in done]))
        for event in events:
            content = next(contents)[0] if isinstance(event, SegmentDone) else None
            running = self._running.get(event.row)
            if running is None:  # stopped by an event before
                continue
            if isinstance(event, Written):
                self._written(running, event)
            elif isinstance(event, SegmentDone):
                self._segment(running, event, content)
            elif isinstance(event, DocumentDone):
                self._document(running, event)

    def _written(self, running: Running, event: Written) -> None:
        """Show a segment on its way where that is wanted; a text with a stop in it ends there."""
        codec = self.model.codec
        update = update_of(codec, event) if running.wants(codec, event) else None
        if update is None:
            return
        if update.modality == "image":
            running.previews += 1
        elif (before := running.stopped(update.content)) is not None:
            return self._stop(running, event.row, before, count=event.count)
        self._tell(running.job, Progress(running.copy, update))

    def _segment(self, running: Running, event: SegmentDone, content: Segment) -> None:
        if content.modality == "text" and (before := running.stopped(content.content)) is not None:
            return self._stop(running, event.row, before, count=len(event.segment.codes))
        running.said.append(content)
        running.written[content.modality] += len(event.segment.codes)
        running.previews = 0
        self._tell(running.job, Progress(running.copy, Update(content.modality, content.content, done=True)))

    def _stop(self, running: Running, number: int, text: str, *, count: int) -> None:
        """End a document before a stop in the text of so many codes that is its last segment."""
        self.engine.cancel(number)
        running.said.append(Segment("text", text))
        running.written["text"] += count
        self._tell(running.job, Progress(running.copy, Update("text", text, done=True)))
        self._complete(running, number, "stop")

    def _document(self, running: Running, event: DocumentDone) -> None:
        length = self.model.model.config.max_length
        self._complete(running, event.row, running.reason(self.model.codec, event, length=length))

    def _complete(self, running: Running, number: int, reason: Ending) -> None:
        """Forget a document that is done; with its last one a job is over."""
        job = running.job
        del self._running[number]
        job.numbers.discard(number)
        job.left -= 1
        self._release(1)
        if not job.left:
            self._forget(job)
        self.metrics.document(job.kind, running.written)
        self._tell(job, running.done(reason))


def _log_unforeseen(error: BaseException) -> None:
    """A ValueError is what a client asked; anything else is ours."""
    if not isinstance(error, ValueError):
        log.error("a job could not be prepared", exc_info=error)
