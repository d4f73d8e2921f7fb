"""GET /docs: the routes and their fields as one HTML page, from the OpenAPI schema. No script."""

from collections.abc import Iterator, Mapping
from html import escape
from typing import Any

Schema = Mapping[str, Any]
STYLE = (
    "body{font:16px/1.5 sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}"
    "table{border-collapse:collapse;width:100%}"
    "td,th{border-bottom:1px solid #ddd;padding:.3rem .6rem .3rem 0;"
    "text-align:left;vertical-align:top}code{font-size:.95em}"
)


def docs_page(openapi: Schema, *, name: str) -> str:
    """Render the page of a server whose model has this name."""
    sections = "".join(
        _section(openapi, path, method, operation)
        for path, operations in openapi["paths"].items()
        for method, operation in operations.items()
    )
    return (
        f"<!doctype html><html lang=en><meta charset=utf-8><title>unitok</title><style>{STYLE}</style>"
        f"<h1>unitok</h1><p>An OpenAI-compatible server of the model <code>{escape(name)}</code>. The schema "
        f'for programs: <a href="openapi.json">openapi.json</a>.</p>{sections}</html>'
    )


def _section(openapi: Schema, path: str, method: str, operation: Schema) -> str:
    title = f"<h2><code>{method.upper()} {escape(path)}</code></h2>"
    text = f"<p>{escape(operation.get('description', operation.get('summary', '')))}</p>"
    rows = "".join(
        f"<tr><td><code>{escape(field)}</code><td>{escape(kind)}<td>{escape(default)}"
        for field, kind, default in _fields(openapi, operation)
    )
    table = f"<table><tr><th>field<th>values<th>default{rows}</table>" if rows else ""
    return title + text + table


def _fields(openapi: Schema, operation: Schema) -> Iterator[tuple[str, str, str]]:
    """The name, values and default of each field of a body."""
    for media in operation.get("requestBody", {}).get("content", {}).values():
        schema = _resolve(openapi, media["schema"])
        required = schema.get("required", ())
        for field, values in schema.get("properties", {}).items():
            default = "required" if field in required else _default(values)
            yield field, _kind(openapi, values), default


def _default(values: Schema) -> str:
    default = values.get("default")
    return "" if default is None else str(default)


def _resolve(openapi: Schema, schema: Schema) -> Schema:
    reference = schema.get("$ref")
    return schema if reference is None else openapi["components"]["schemas"][reference.rpartition("/")[2]]


def _kind(openapi: Schema, schema: Schema) -> str:
    """The values that a schema allows, in words."""
    schema = _resolve(openapi, schema)
    for name in ("anyOf", "oneOf", "allOf"):
        if name in schema:
            kinds = [_kind(openapi, one) for one in schema[name] if one.get("type") != "null"]
            return " or ".join(dict.fromkeys(kinds))
    if "enum" in schema or "const" in schema:
        return ", ".join(map(str, schema.get("enum", [schema.get("const")])))
    if schema.get("type") == "array":
        return f"list of {_kind(openapi, schema.get('items', {}))}"
    return "file" if schema.get("format") == "binary" else schema.get("type", "any")
