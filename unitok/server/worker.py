"""The worker thread that owns the engine: jobs from any thread share one batch.

Knows jobs and the engine, no HTTP. A second thread prepares requests, however long encoding their documents
takes; between two steps the first admits the prepared ones and drops the cancelled ones.
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
from unitok.generation.requests import DocumentDone, Event, Request, SegmentDone, SegmentProgress
from unitok.server.jobs import Accepted, Failed, FinishReason, Job, JobEvent, Progress, RunningCopy
from unitok.server.metrics import Metrics

log = logging.getLogger(__name__)


class QueueFull(Exception):
    """The queue has no space for more jobs now."""


class WorkerStopped(Exception):
    """The worker accepts no more jobs, and gives up those it has."""


class Worker:
    """Runs all jobs in one batch.

    Args:
        model: the model that generates.
        batch_size: documents generated at once.
        queue_size: documents that may wait for the batch; more are refused.
        metrics: counters to update.
    """

    def __init__(self, model: UniTok, *, batch_size: int, queue_size: int, metrics: Metrics):
        self.model, self.batch_size, self.metrics = model, batch_size, metrics
        self.capacity = batch_size + queue_size
        self.held = 0
        self.engine = model.engine(batch_size=batch_size)
        self.failed = False
        self._jobs: set[Job] = set()
        self._running: dict[int, RunningCopy] = {}
        self._changed = threading.Condition()
        self._submitted: SimpleQueue[Job] = SimpleQueue()
        self._prepared: deque[tuple[Job, Request | BaseException]] = deque()
        self._cancelled: deque[Job] = deque()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="engine", daemon=True)
        self._preparer = threading.Thread(target=self._prepare_all, name="encoder", daemon=True)

    # -- called from any thread

    def start(self) -> None:
        """Start both threads."""
        self._thread.start()
        self._preparer.start()

    def submit(self, job: Job) -> None:
        """Accept a job; its events are emitted from now on.

        Raises:
            QueueFull: the job's documents exceed the capacity.
            WorkerStopped: the worker is stopping, or has failed.
        """
        with self._changed:
            if not self.alive:
                raise WorkerStopped(self.stop_reason)
            if self.held + job.copies > self.capacity:
                raise QueueFull(
                    f"{self.held} of at most {self.capacity} documents are in progress or waiting"
                )
            self.held += job.copies
            self._jobs.add(job)
        self._submitted.put(job)

    def cancel(self, job: Job) -> None:
        """Drop a job before the next step, without an event. Does nothing if it is closed."""
        with self._changed:
            if not job.closed:
                self._cancelled.append(job)
                self._changed.notify()

    def stop(self, *, timeout: float = 10.0) -> None:
        """Give up all jobs and end the engine's thread after its step."""
        with self._changed:
            self._stopping = True
            self._changed.notify()
        if self._thread.is_alive():
            self._thread.join(timeout)

    @property
    def alive(self) -> bool:
        """Whether jobs are accepted and run."""
        return self._thread.is_alive() and self._preparer.is_alive() and not self._stopping

    @property
    def stop_reason(self) -> str:
        """Why jobs are no longer accepted."""
        return "the server is stopping" if self._stopping and not self.failed else "the engine has failed"

    # -- the thread that prepares requests

    def _prepare_all(self) -> None:
        while True:
            job = self._submitted.get()
            if not job.closed:
                self._prepared.append((job, self._prepare(job)))
                with self._changed:
                    self._changed.notify()

    def _prepare(self, job: Job) -> Request | BaseException:
        """Build a job's engine request; returns errors instead of raising them: the thread must survive."""
        try:
            return job.prepare(self.model)
        except BaseException as error:
            _log_unexpected(error)
            return error

    # -- the thread that owns the engine

    def _run(self) -> None:
        """Run steps until the worker stops or fails; either way every client gets an answer."""
        try:
            while self._run_step():
                pass
        except BaseException:
            self.failed = True
            log.critical("the engine has failed and cannot be restarted", exc_info=True)
        finally:
            with self._changed:
                self._stopping = True
            for job in self._jobs:
                job.closed = True
                self._emit(job, Failed(WorkerStopped(self.stop_reason)))

    def _run_step(self) -> bool:
        """Drop and admit jobs, then take a step. An unexpected error fails the running jobs, no others."""
        with self._changed:
            self._changed.wait_for(
                lambda: self._stopping or self._prepared or self._cancelled or not self.engine.idle
            )
        if self._stopping:
            return False
        try:
            while self._cancelled:
                self._drop(self._cancelled.popleft())
            while self._prepared:
                self._admit(*self._prepared.popleft())
            if not self.engine.idle:
                self._step()
        except Exception as error:
            self._restart(error)
        return True

    def _step(self) -> None:
        """Take one step of the engine."""
        events = self.engine.step()
        self.metrics.step(rows=min(len(self._running), self.batch_size))
        self._emit_all(events)

    def _restart(self, error: Exception) -> None:
        """Replace the engine; jobs that were running in the old one fail."""
        log.exception("a step of the engine failed; its jobs are given up")
        self.engine = self.model.engine(batch_size=self.batch_size)
        for job in {running.job for running in self._running.values()}:
            self._fail(job, error)

    def _admit(self, job: Job, prepared: Request | BaseException) -> None:
        """Submit a job's documents to the engine, unless it was dropped meanwhile."""
        if job.closed:
            return
        if isinstance(prepared, BaseException):
            return self._fail(job, prepared)
        try:
            for copy in range(job.copies):
                number = self.engine.submit(replace(prepared, copy=copy))
                job.numbers.add(number)
                self._running[number] = RunningCopy(job, copy, prepared)
        except Exception as error:
            _log_unexpected(error)
            return self._fail(job, error)
        self._emit(job, Accepted())

    def _drop(self, job: Job) -> None:
        """Remove a cancelled job's documents from the batch."""
        if not job.closed:
            self.metrics.cancelled(len(job.numbers))
            self._end(job)

    def _fail(self, job: Job, error: BaseException) -> None:
        self._end(job)
        self._emit(job, Failed(error))

    def _end(self, job: Job) -> None:
        """Close a job and remove its documents from the engine."""
        for number in job.numbers:
            self.engine.cancel(number)
            del self._running[number]
        job.numbers.clear()
        self._release(job.unfinished)
        self._close(job)

    def _release(self, documents: int) -> None:
        with self._changed:
            self.held -= documents

    def _close(self, job: Job) -> None:
        with self._changed:
            job.closed = True
            self._jobs.discard(job)

    # -- events

    def _emit(self, job: Job, event: JobEvent) -> None:
        with suppress(RuntimeError):  # the client's event loop may be closed
            job.emit(event)

    def _emit_all(self, events: list[Event]) -> None:
        """Emit the events of a step; images that were completed in it are decoded as a batch."""
        events = [event for event in events if event.number in self._running]
        done = [event for event in events if isinstance(event, SegmentDone)]
        contents = iter(self.model.codec.decode_many([[event.segment] for event in done]))
        for event in events:
            content = next(contents)[0] if isinstance(event, SegmentDone) else None
            running = self._running.get(event.number)
            if running is None:  # an earlier event of this step ended it at a stop
                continue
            if isinstance(event, SegmentProgress):
                self._on_progress(running, event)
            elif isinstance(event, SegmentDone):
                self._on_segment(running, event, content)
            elif isinstance(event, DocumentDone):
                self._on_document(running, event)

    def _on_progress(self, running: RunningCopy, event: SegmentProgress) -> None:
        """Emit a segment in progress if the job needs it; text with a stop in it ends there."""
        codec = self.model.codec
        update = update_of(codec, event) if running.needs_update(codec, event) else None
        if update is None:
            return
        if update.modality != "text":
            running.previews += 1
        elif (text := running.before_stop(update.content)) is not None:
            return self._stop_at(running, event.number, text, count=event.count)
        self._emit(running.job, Progress(running.copy, update))

    def _on_segment(self, running: RunningCopy, event: SegmentDone, content: Segment) -> None:
        if content.modality == "text" and (text := running.before_stop(content.content)) is not None:
            return self._stop_at(running, event.number, text, count=len(event.segment.codes))
        running.segments.append(content)
        running.new_codes[content.modality] += len(event.segment.codes)
        running.previews = 0
        update = Update(content.modality, content.content, done=True)
        self._emit(running.job, Progress(running.copy, update))

    def _stop_at(self, running: RunningCopy, number: int, text: str, *, count: int) -> None:
        """End a document at a stop in its last segment: the `text` before it, of `count` generated codes."""
        self.engine.cancel(number)
        running.segments.append(Segment("text", text))
        running.new_codes["text"] += count
        self._emit(running.job, Progress(running.copy, Update("text", text, done=True)))
        self._complete(running, number, "stop")

    def _on_document(self, running: RunningCopy, event: DocumentDone) -> None:
        max_length = self.model.model.sizes.max_length
        reason = running.finish_reason(self.model.codec, event, max_length=max_length)
        self._complete(running, event.number, reason)

    def _complete(self, running: RunningCopy, number: int, reason: FinishReason) -> None:
        """Remove a document that is done; the job is closed with its last one."""
        job = running.job
        del self._running[number]
        job.numbers.discard(number)
        job.unfinished -= 1
        self._release(1)
        if not job.unfinished:
            self._close(job)
        self.metrics.document(job.kind, running.new_codes)
        self._emit(job, running.done(reason))


def _log_unexpected(error: BaseException) -> None:
    """Log any error but a ValueError, which is the client's fault."""
    if not isinstance(error, ValueError):
        log.error("a job could not be prepared", exc_info=error)
