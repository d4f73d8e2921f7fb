"""Processes forked from this one, which run its functions on other cores. Knows no model."""

import multiprocessing
import os
import pickle
import signal
import sys
import traceback
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any

import torch

Function = Callable[[Any], Iterator[Any]]
"""Takes an argument, and yields what it answers, bit by bit."""


UNHEARD = (signal.SIGINT, signal.SIGTERM)
"""Signals that the processes leave to the training: it ends its step first, then the processes."""


PATIENCE = 10.0
"""Seconds after which a process that is still busy is killed when the others end."""


class Workers:
    """Forked processes, which see all that this process had in memory when they started.

    They compute with one thread: OpenMP does not outlive a fork, except in the thread that forks. They end
    with this process, whatever ends it, because the pipe to them closes.

    Args:
        count: number of processes.
    """

    def __init__(self, count: int):
        self.count, self.threads = count, torch.get_num_threads()
        self.functions: dict[str, Function] = {}
        """What they can be asked for, by name; to be complete before they start."""
        self.connections: list[Connection] = []
        self.processes: list[BaseProcess] = []
        self.asked = 0

    @property
    def started(self) -> bool:
        """Whether they have been forked."""
        return bool(self.processes)

    def start(self) -> None:
        """Fork the processes, unless they have been."""
        if self.started:
            return
        before = signal.pthread_sigmask(signal.SIG_BLOCK, UNHEARD)
        try:
            for _ in range(self.count):
                self._fork()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        self._close = weakref.finalize(self, _close, self.connections, self.processes)

    def _fork(self) -> None:
        """Start a process, which inherits what signals are blocked."""
        context = multiprocessing.get_context("fork")
        ours, theirs = context.Pipe()
        self.connections.append(ours)
        arguments = (theirs, list(self.connections), self.functions)
        self.processes.append(context.Process(target=_serve, args=arguments, daemon=True))
        self.processes[-1].start()
        theirs.close()

    def close(self) -> None:
        """End the processes."""
        self.all_threads()
        if self.started:
            self._close()

    def one_thread(self) -> None:
        """Compute with one thread here, too, where all processes compute."""
        torch.set_num_threads(1)

    def all_threads(self) -> None:
        """Compute with as many threads as before, where this process computes alone."""
        torch.set_num_threads(self.threads)

    def ask(self, name: str, arguments: Sequence[Any]) -> None:
        """Have the first processes run a function, each with one of the arguments."""
        self.asked = len(arguments)
        for connection, argument in zip(self.connections, arguments, strict=False):
            connection.send_bytes(pickle.dumps((name, argument)))

    def answers(self) -> list[Any]:
        """Wait for the next answer of each process that was asked.

        Raises:
            RuntimeError: the function raised an error, or the process was killed.
        """
        return [self._answer(number) for number in range(self.asked)]

    def _answer(self, number: int) -> Any:
        try:
            # only this process and its own fork hold the pipe
            answer, fault = pickle.loads(self.connections[number].recv_bytes())
        except (EOFError, ConnectionError):
            self.processes[number].join()
            code = self.processes[number].exitcode
            raise RuntimeError(f"a process of the training ended with exit code {code}") from None
        if fault is not None:
            raise RuntimeError(f"a process of the training failed:\n{fault}")
        return answer


def _serve(
    connection: Connection, inherited: Sequence[Connection], functions: Mapping[str, Function]
) -> None:
    """Run functions until the other end of the pipe closes; this process holds copies of such ends."""
    for end in inherited:
        end.close()
    _compile_without_threads()
    while True:
        try:
            name, argument = pickle.loads(connection.recv_bytes())
        except (EOFError, ConnectionError):
            os._exit(0)
        try:
            for answer in functions[name](argument):
                connection.send_bytes(pickle.dumps((answer, None)))
        except BrokenPipeError:
            os._exit(0)
        except BaseException:
            connection.send_bytes(pickle.dumps((None, traceback.format_exc())))


def _compile_without_threads() -> None:
    """Have torch.compile work in the thread that calls it: its pool's threads did not outlive the fork, and
    shapes that come late, such as a last batch of one row, are compiled here."""
    if (inductor := sys.modules.get("torch._inductor.config")) is not None:
        inductor.compile_threads = 1


def _close(connections: Sequence[Connection], processes: Sequence[BaseProcess]) -> None:
    for connection in connections:
        connection.close()
    for process in processes:
        process.join(PATIENCE)
        if process.exitcode is None:
            process.kill()
            process.join()


def start_autograd() -> None:
    """Take a first backward pass, before anything is compiled: if torch's engine starts later it counts
    devices, and no forked process can use it."""
    torch.zeros((), requires_grad=True).backward()


def lacks_fork() -> str | None:
    """Returns why a forked process could not compute gradients; None where it can."""
    if not sys.platform.startswith("linux"):
        return f"{sys.platform} does not fork processes that have threads"
    process = os.fork()
    if not process:
        try:
            start_autograd()
        except BaseException:
            os._exit(1)
        os._exit(0)
    if os.waitpid(process, 0)[1]:
        return "this process has compiled code before its first backward pass"
    return None
