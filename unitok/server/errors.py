"""What a client is told that gets no answer, in OpenAI's shape. Knows HTTP, no model."""

from collections.abc import Mapping

from fastapi import FastAPI, HTTPException, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException as PlainHTTPException

from unitok.modalities.text import clean

CODES = {404: "not_found", 405: "method_not_allowed", 415: "unsupported_media_type"}
NO_BODY = (204, 205, 304)


class Refused(HTTPException):
    """A request that is not carried out: the status, why, and a `code` that programs can compare.

    `param` names the field that is wrong. A subclass of FastAPI's, because what is raised while a body is
    read passes through it.
    """

    def __init__(
        self,
        status: int,
        message: str,
        *,
        code: str,
        param: str | None = None,
        headers: Mapping[str, str] | None = None,
    ):
        super().__init__(status, message, dict(headers or {}))
        self.code, self.param = code, param

    @property
    def content(self) -> dict:
        """The body of the response."""
        return shaped(self.status_code, self.detail, code=self.code, param=self.param)


def shaped(status: int, message: str, *, code: str, param: str | None = None) -> dict:
    """An error as OpenAI's clients read it; letters that JSON's UTF-8 cannot hold are replaced."""
    kinds = {401: "authentication_error", 429: "rate_limit_error"}
    kind = "server_error" if status >= 500 else kinds.get(status, "invalid_request_error")
    param = clean(param) if param else None
    return {"error": {"message": clean(message), "type": kind, "param": param, "code": code}}


def invalid(message: str, *, param: str | None = None) -> Refused:
    """A request with a value that cannot be."""
    return Refused(400, message, code="invalid_value", param=param)


def handle(app: FastAPI) -> None:
    """Let an app tell all its errors in this shape."""
    app.add_exception_handler(PlainHTTPException, _http)
    app.add_exception_handler(RequestValidationError, _validation)
    app.add_exception_handler(Exception, _unforeseen)


def _http(_: Request, error: PlainHTTPException) -> JSONResponse:
    if isinstance(error, Refused):
        return JSONResponse(error.content, error.status_code, error.headers)
    code = CODES.get(error.status_code, "invalid_request")
    return JSONResponse(shaped(error.status_code, str(error.detail), code=code), error.status_code)


def _validation(_: Request, error: RequestValidationError) -> JSONResponse:
    """The first thing that is wrong with a body; of several ways to read a field the one that got furthest.

    What was sent is not repeated: it may be large, or secret.
    """
    first = max(error.errors(), key=lambda found: len(found["loc"]))
    param = ".".join(str(part) for part in first["loc"][1:] if not str(part).startswith(("list[", "str")))
    message = f"{param}: {first['msg']}" if param else first["msg"]
    return JSONResponse(shaped(400, message, code=first["type"], param=param or None), 400)


def _unforeseen(_: Request, error: Exception) -> JSONResponse:
    return JSONResponse(shaped(500, "the server failed; its log says why", code="internal_error"), 500)
