"""The access log: one line a request, without anything that a client wrote."""

import logging
import re

import pytest

from tests.tiny_model import tiny_model

pytest.importorskip("httpx", reason="httpx is not installed (extra clients)")
pytest.importorskip("fastapi", reason="the server is not installed (extra serve)")
from fastapi.testclient import TestClient

from unitok.server.app import build
from unitok.server.middleware import Limits


def test_each_request_is_one_line_without_content(caplog):
    caplog.set_level(logging.INFO, "unitok.access")
    with TestClient(build(tiny_model(), limits=Limits(api_key="sesame"))) as client:
        key = {"Authorization": "Bearer sesame"}
        client.post("/v1/images/generations", json={"prompt": "secret\nstar", "seed": 7}, headers=key)
        client.post("/v1/images/generations?a=secret", json={"prompt": 5}, headers=key)
        client.get("/v1/models/secret", headers=key)
        client.get("/secret")
    lines = [record.getMessage() for record in caplog.records if record.name == "unitok.access"]
    assert [re.sub(r"\d+\.\d{3} s$", "SECONDS", line) for line in lines] == [
        "POST /v1/images/generations 200 SECONDS",
        "POST /v1/images/generations 400 SECONDS",
        "GET /v1/models/{name:path} 404 SECONDS",
        "GET other 401 SECONDS",
    ]
    assert not re.search("secret|sesame|star", "".join(lines))
