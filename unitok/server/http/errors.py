"""Errors in OpenAI's format. Knows HTTP, no model."""

from collections.abc import Mapping

from fastapi import FastAPI, HTTPException, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException as PlainHTTPException

from unitok.modalities.text import clean
from unitok.server.http.body_errors import Sentence, sentence

CODES = {404: "not_found", 405: "method_not_allowed", 415: "unsupported_media_type"}
PARSING = "There was an error parsing the body"
"""What FastAPI says of a body that it cannot read, whatever the cause."""
UNREADABLE = "the body cannot be read: it is no UTF-8, nested too deeply, or no whole form"


class ApiError(HTTPException):
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


def invalid(message: str, *, param: str | None = None) -> ApiError:
    """A request with a value that cannot be."""
    return ApiError(400, message, code="invalid_value", param=param)


def handle(app: FastAPI) -> None:
    """Let an app tell all its errors in this shape."""
    app.add_exception_handler(PlainHTTPException, _http)
    app.add_exception_handler(RequestValidationError, _validation)
    app.add_exception_handler(Exception, _unforeseen)


def _http(request: Request, error: PlainHTTPException) -> JSONResponse:
    if isinstance(error, ApiError):
        return JSONResponse(error.content, error.status_code, error.headers)
    code = CODES.get(error.status_code, "invalid_request")
    return JSONResponse(
        shaped(error.status_code, _detail(request, error), code=code), error.status_code, error.headers
    )


def _detail(request: Request, error: PlainHTTPException) -> str:
    """What to say of an error of the frameworks."""
    path, method = request.url.path, request.method
    if error.status_code == 404:
        known = request.app.openapi()["paths"]
        return f"nothing is at {path:.80}; there are {', '.join(known)}"
    if error.status_code == 405:
        return f"{path:.80} answers {error.headers['Allow']}, not {method:.20}"
    return UNREADABLE if error.status_code == 400 and error.detail == PARSING else str(error.detail)


def _validation(request: Request, error: RequestValidationError) -> JSONResponse:
    """What is wrong with a body: its kind, that it is no JSON, or the field that got furthest."""
    first = error.errors()[0]
    if (told := _wrong_kind(request)) is not None:
        found = Sentence(told, "unsupported_media_type", None)
    elif first["type"] == "json_invalid":
        why, place = first["ctx"]["error"], first["loc"][-1]
        found = Sentence(f"the body is no JSON: {why} at letter {place}", "json_invalid", None)
    else:
        found = sentence(error.errors(), error.body)
    return JSONResponse(shaped(400, found.message, code=found.code, param=found.param), 400)


def _wrong_kind(request: Request) -> str | None:
    """What to say of a body that was sent as another kind than its route takes; None where it was not."""
    wanted = request.scope["route"].body_field.field_info.media_type
    sent = request.headers.get("content-type", "none")
    if sent.split(";")[0].strip().lower() == wanted:
        return None
    return f"the Content-Type must be {wanted}, got {sent:.80}"


def _unforeseen(_: Request, error: Exception) -> JSONResponse:
    return JSONResponse(shaped(500, "the server failed; its log says why", code="internal_error"), 500)
