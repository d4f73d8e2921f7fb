"""Runs: one at a time, in order, and always stopped by Stop."""

import threading
import time

import pytest

pytest.importorskip("gradio", reason="gradio is not installed: make page installs it")

from unitok.page import runs
from unitok.page.runs import RunQueue, Visit, in_steps, stop_runs, stoppable


@pytest.fixture(autouse=True)
def _quickly(monkeypatch):
    monkeypatch.setattr(runs, "PAUSE", 0.01)
    monkeypatch.setattr(runs, "QUIET", 0.03)


def counting(log):
    """A handler that counts until it is closed."""

    def handler(name):
        try:
            for number in range(10_000):
                log.append((name, number))
                time.sleep(0.001)
                yield (f"{name} {number}",)
            yield ("Done.",)
        finally:
            log.append((name, "closed"))

    return handler


def in_thread(generator):
    seen = []
    thread = threading.Thread(target=lambda: seen.extend(generator))
    thread.start()
    return thread, seen


def until(condition):
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.001)


def test_a_stopped_run_ends_in_stopped_and_the_next_one_begins():
    queue, log, visits = RunQueue(), [], (Visit(), Visit())
    run = stoppable(queue, counting(log), outputs=1)
    first, seen = in_thread(run(visits[0], "first"))
    until(lambda: seen)
    second, waited = in_thread(run(visits[1], "second"))
    until(lambda: waited)
    assert "Waiting: 1 run before this one" in waited[0][0] and {name for name, _ in log} == {"first"}
    stop_runs(visits[0])
    first.join()
    assert "Stopped." in seen[-1][0] and ("first", "closed") in log
    until(lambda: ("second", 3) in log)
    stop_runs(visits[1])
    second.join()
    assert "Stopped." in waited[-1][0] and not queue._runs


def test_a_run_that_waits_is_stopped_without_beginning():
    queue, log, visit = RunQueue(), [], Visit()
    ticket = queue.join()
    thread, seen = in_thread(stoppable(queue, counting(log), outputs=1)(visit, "late"))
    until(lambda: seen)
    stop_runs(visit)
    thread.join()
    assert "Stopped." in seen[-1][0] and not log
    queue.leave(ticket)


def test_a_run_that_arrives_after_its_stop_does_not_begin():
    visit, log = Visit(stops=1), []
    (only,) = stoppable(RunQueue(), counting(log), outputs=1)(visit, "late")
    assert "Stopped." in only[0] and not log


def test_closing_a_run_lets_the_next_one_begin():
    queue, log = RunQueue(), []
    run = stoppable(queue, counting(log), outputs=1)(Visit(), "gone")
    next(run)
    run.close()
    assert log[-1] == ("gone", "closed") and not queue._runs


def test_a_call_in_steps_gives_its_result_or_ends_when_closed():
    done = []

    def call(on_step):
        for number in range(60):
            time.sleep(0.002)
            on_step(number)
        done.append(True)
        return "result"

    def result(steps):
        try:
            while True:
                next(steps)
        except StopIteration as end:
            return end.value

    assert result(in_steps(call)) == "result" and done == [True]
    steps = in_steps(call)
    next(steps)
    steps.close()
    assert done == [True], "the call has ended before its last step"
