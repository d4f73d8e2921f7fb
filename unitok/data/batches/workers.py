"""Worker processes of a loader: they leave signals to their parent. Knows no data."""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

SIGNALS = {signal.SIGINT, signal.SIGTERM}


@contextmanager
def signals_blocked() -> Iterator[None]:
    """Blocks Ctrl-C and SIGTERM, so that they cannot end a process forked meanwhile before it is set up."""
    previous = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, previous)


def ignore_foreign_signals(worker: int) -> None:
    """Initialises a worker that ignores Ctrl-C, and SIGTERM from any process but its parent.

    Terminals, torchrun and SLURM signal all processes of a run, but the training process still needs its
    batches: it finishes the step, saves, and ends its workers itself.

    Args:
        worker: its number, as passed by the loader.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    if hasattr(signal, "sigwaitinfo"):  # macOS does not tell who sent a signal
        threading.Thread(target=_exit_on_parent_signal, daemon=True).start()


def _exit_on_parent_signal() -> None:
    while signal.sigwaitinfo({signal.SIGTERM}).si_pid != os.getppid():
        pass
    os._exit(0)
