"""GET /docs lists every route and field, and loads nothing."""

import html
import re

import pytest

from tests.tiny_model import tiny_model

httpx = pytest.importorskip("httpx", reason="httpx is not installed (extra clients)")
pytest.importorskip("fastapi", reason="the server is not installed (extra serve)")
from fastapi.testclient import TestClient  # noqa: E402

from unitok.server.app import build  # noqa: E402
from unitok.server.http.docs_page import docs_page  # noqa: E402
from unitok.server.response_schemas import ResponseRequest  # noqa: E402
from unitok.server.schemas import ChatRequest, DrawRequest, EditForm  # noqa: E402


def test_the_page_lists_every_route_and_field():
    with TestClient(build(tiny_model())) as client:
        answer = client.get("/docs")
        paths = client.get("/openapi.json").json()["paths"]
    assert answer.status_code == 200 and answer.headers["content-type"].startswith("text/html")
    for path, operations in paths.items():
        for method in operations:
            assert f"<code>{method.upper()} {path}</code>" in answer.text
    page = html.unescape(answer.text)
    for schema in (ChatRequest, DrawRequest, ResponseRequest, EditForm):
        for name, field in schema.model_fields.items():
            assert f"<td><code>{field.alias or name}</code><td>" in page, name
    assert "<td><code>prompt</code><td>string<td>required" in page
    assert "<td><code>output_format</code><td>png, jpeg, webp<td>png" in page
    assert not re.search(r"<script|src=|https?:", page)
    assert answer.headers["content-security-policy"].startswith("default-src 'none'")


def test_names_are_escaped():
    page = docs_page({"paths": {"/<b>": {"get": {"summary": "a & b"}}}}, name="<i>")
    assert "<i>" not in page and "<b>" not in page and "a &amp; b" in page
