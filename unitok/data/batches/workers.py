"""Worker processes of a loader: they leave signals to their parent. Knows no data."""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

SIGNALS = {signal.SIGINT, signal.SIGTERM}


@contextmanager
def held() -> Iterator[None]:
    """Let Ctrl-C and SIGTERM wait: a process that is forked meanwhile never meets them unprepared."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def heed_parent_alone(worker: int) -> None:
    """Begin a worker that Ctrl-C does not end, nor SIGTERM from anybody but its parent.

    Terminals, torchrun and SLURM signal all processes of a run, and the training process still needs its
    batches: it finishes the step, saves, and ends its workers itself.

    Args:
        worker: its number, as a loader gives it.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    if hasattr(signal, "sigwaitinfo"):  # macOS does not tell who sent a signal
        threading.Thread(target=_end_by_parent, daemon=True).start()


def _end_by_parent() -> None:
    while signal.sigwaitinfo({signal.SIGTERM}).si_pid != os.getppid():
        pass
    os._exit(0)
