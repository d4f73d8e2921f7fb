"""Fuzzing: every request gets an answer or an error in OpenAI's format, without failures or memory leaks."""

import random
import socket

import hypothesis
import pytest

from tests.cases import cases
from tests.tiny_model import tiny_model

httpx = pytest.importorskip("httpx", reason="httpx is not installed (extra clients)")
schemathesis = pytest.importorskip("schemathesis", reason="schemathesis is not installed (extra clients)")
pytest.importorskip("uvicorn", reason="uvicorn is not installed (extra serve)")
from tests.server.mutations import mutated  # noqa: E402
from tests.server.process import child  # noqa: E402

RAW = 0.1
"""Share of the requests that are corrupted as a whole, headers included."""
MOST = "4"
"""Body limit in MB: enough for costly requests, less than the largest ones."""
MORE = 96
"""MB by which the server's memory may grow over the last two thirds of the requests."""
EXPECTED = {200, 400, 401, 404, 405, 408, 413, 415, 429}


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with child(tiny_model(max_length=60), tmp_path_factory.mktemp("fuzz"), "--max-body", MOST) as server:
        yield server
        assert server.stop() == 0


def check(status: int, content_type: str, text: str) -> None:
    assert status in EXPECTED, (status, text[:500])
    if status >= 400 and content_type.startswith("application/json"):
        error = httpx.Response(status, text=text).json()["error"]
        assert set(error) == {"message", "type", "param", "code"} and error["message"] and error["code"]


def send(server, client, number: int) -> int:
    """Send the request with a number; return its status, 0 if it is not HTTP."""
    sent, rng = mutated(number), random.Random(number)
    if rng.random() < RAW:
        return send_corrupt(server, sent, rng)
    answer = client.post(sent.path, content=sent.body, headers=sent.headers)
    check(answer.status_code, answer.headers.get("content-type", ""), answer.text)
    return answer.status_code


def send_corrupt(server, sent, rng: random.Random) -> int:
    data = bytearray(sent.raw("127.0.0.1"))
    for _ in range(rng.randint(1, 3)):
        data[rng.randrange(min(len(data), 200))] = rng.randrange(256)
    with socket.create_connection(server.address, timeout=30) as connection:
        try:
            connection.sendall(bytes(data))
            connection.shutdown(socket.SHUT_WR)
            answer = connection.recv(65536)
        except TimeoutError:
            raise
        except OSError:  # the server hangs up on what is not HTTP
            return 0
    status = int(answer.split(b" ")[1]) if answer.startswith(b"HTTP/1.1 ") else 0
    assert status == 0 or status in EXPECTED, answer[:500]
    return status


def mutate(server, count: int) -> None:
    """Send `count` mutated requests and check the memory."""
    statuses = []
    with httpx.Client(base_url=server.url, timeout=60) as client:
        for number in range(count):
            if number == count // 3:
                before = server.memory
            statuses.append(send(server, client, number))
    share = statuses.count(200) / count
    print(
        {status: statuses.count(status) for status in sorted({*statuses})}, f"{before:.0f} MB", server.memory
    )
    assert 0.1 < share < 0.9, "these requests are too wrong, or too right, to find anything"
    assert server.memory < before + MORE


def by_schema(server, count: int) -> None:
    """Send about `count` requests that schemathesis generates from the OpenAPI schema, valid and invalid."""
    schema = schemathesis.openapi.from_url(f"{server.url}/openapi.json")
    operations = [operation.ok() for operation in schema.get_all_operations()]
    assert len(operations) == 8
    modes = [schemathesis.GenerationMode.POSITIVE, schemathesis.GenerationMode.NEGATIVE]
    for operation in operations:
        for mode in modes if operation.method == "post" else modes[:1]:
            share = count // 8 if operation.method == "post" else 5

            @hypothesis.given(case=operation.as_strategy(mode))
            @hypothesis.settings(
                max_examples=share,
                deadline=None,
                derandomize=True,
                database=None,
                suppress_health_check=list(hypothesis.HealthCheck),
            )
            def ask(case):
                answer = case.call(timeout=60)
                check(answer.status_code, answer.headers.get("content-type", [""])[0], answer.text)

            ask()


def check_server(server) -> None:
    """Check that nothing failed, nothing is left over, and no other host was contacted."""
    figures = httpx.get(f"{server.url}/metrics").text
    assert 'status="5' not in figures and "unitok_documents_held 0" in figures, figures
    assert "Traceback" not in server.errors.read_text()
    assert server.outside() == []
    assert server.process.poll() is None


def test_heavy_requests_are_among_them():
    sizes = [len(mutated(number).body) / 2**20 for number in range(300)]
    assert sum(0.1 < size < float(MOST) for size in sizes) > 4 and max(sizes) > float(MOST)


@cases(60, 6000)
def test_mutated_requests(server, count):
    mutate(server, count)
    check_server(server)


@cases(40, 4000)
def test_requests_by_the_schema(server, count):
    by_schema(server, count)
    check_server(server)


def test_connections_to_other_hosts_would_be_logged(tmp_path):
    from tests.server.child import note

    note(str(tmp_path / "log"), "socket.getaddrinfo", ("example.com", 80))
    note(str(tmp_path / "log"), "socket.getaddrinfo", ("127.0.0.1", 80))
    assert (tmp_path / "log").read_text() == "socket.getaddrinfo example.com\n"
