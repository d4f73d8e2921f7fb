"""Workers answer bit by bit, tell what went wrong, and end with the process that started them."""

import os
import signal
import subprocess
import sys
import time

import pytest
import torch

from tests.cases import rare
from unitok.training.cores.workers import Workers, lacks_fork, start_autograd

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="processes fork on Linux")


def count_to(number: int):
    yield from range(1, number + 1)


def fail(number: int):
    yield number
    raise ValueError(f"bad number {number}")


def pid(_):
    yield os.getpid()


@pytest.fixture
def workers():
    started = Workers(2)
    started.functions |= {"count": count_to, "fail": fail, "pid": pid}
    started.start()
    yield started
    started.close()


def test_each_answers_its_own_argument_bit_by_bit(workers):
    workers.ask("count", [2, 3])
    assert workers.answers() == [1, 1] and workers.answers() == [2, 2]
    workers.connections[1].recv_bytes()
    workers.ask("count", [1])  # the first alone
    assert workers.answers() == [1]


def test_what_a_function_raises_is_told_and_the_next_question_is_answered(workers):
    workers.ask("fail", [5])
    assert workers.answers() == [5]
    with pytest.raises(RuntimeError, match=r"(?s)a process of the training failed.*bad number 5"):
        workers.answers()
    workers.ask("count", [1, 1])
    assert workers.answers() == [1, 1]


def test_signals_to_the_group_are_left_to_the_training(workers):
    for process in workers.processes:
        os.kill(process.pid, signal.SIGINT)
        os.kill(process.pid, signal.SIGTERM)
    workers.ask("count", [1, 1])
    assert workers.answers() == [1, 1]


def test_a_killed_process_is_told_with_its_exit_code(workers):
    os.kill(workers.processes[0].pid, signal.SIGKILL)
    workers.processes[0].join()
    with pytest.raises((RuntimeError, BrokenPipeError)):
        workers.ask("count", [1])
        workers.answers()
    assert workers.processes[1].is_alive()


def test_they_end_when_closed():
    workers = Workers(2)
    workers.functions["pid"] = pid
    workers.start()
    workers.start()  # changes nothing
    assert len(workers.processes) == 2 and workers.started
    workers.close()
    assert [process.exitcode for process in workers.processes] == [0, 0]


def test_one_that_is_still_busy_is_killed(monkeypatch):
    monkeypatch.setattr("unitok.training.cores.workers.PATIENCE", 0.1)
    workers = Workers(1)
    workers.functions["sleep"] = time.sleep
    workers.start()
    workers.ask("sleep", [60])
    workers.close()
    assert workers.processes[0].exitcode == -signal.SIGKILL


@pytest.mark.parametrize("end", ["os.kill(os.getpid(), 9)", rare("os._exit(0)"), rare("raise KeyError")])
def test_they_end_however_the_process_ends_that_started_them(end):
    code = f"""
import os
from tests.training.cores.test_workers import Workers, pid
workers = Workers(2)
workers.functions["pid"] = pid
workers.start()
workers.ask("pid", [0, 0])
print(*workers.answers(), flush=True)
{end}
"""
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    pids = [int(word) for word in ran.stdout.split()]
    assert len(pids) == 2
    for _ in range(100):
        if not any(os.path.exists(f"/proc/{number}") for number in pids):
            return
        time.sleep(0.05)
    pytest.fail(f"still there: {pids}")


def test_a_process_forked_here_can_compute_gradients():
    start_autograd()
    assert lacks_fork() is None


def compile_anew(size: int):
    """Compiles what nobody has compiled before."""
    number = time.monotonic_ns() % 2**20
    assert torch.compile(lambda x: x * number, dynamic=False)(torch.ones(size)).sum() == size * number
    yield "compiled"


def test_they_compile_shapes_that_come_after_the_fork():
    start_autograd()
    list(compile_anew(2))  # starts the compiler's threads here
    workers = Workers(1)
    workers.functions["compile"] = compile_anew
    workers.start()
    workers.ask("compile", [3])
    assert workers.connections[0].poll(60), "a worker waits for threads that it does not have"
    assert workers.answers() == ["compiled"]
    workers.close()
