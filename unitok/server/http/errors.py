"""Errors in OpenAI's format. Knows HTTP, no model."""

from collections.abc import Mapping

from fastapi import FastAPI, HTTPException, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException as StarletteHTTPException

from unitok.modalities.text import clean
from unitok.server.http.body_errors import Explanation, explain

CODES = {404: "not_found", 405: "method_not_allowed", 415: "unsupported_media_type"}
PARSING = "There was an error parsing the body"
"""FastAPI's message for a body that it cannot read, whatever the cause."""
UNREADABLE = "the body cannot be read: invalid UTF-8, nested too deeply, or an incomplete form"


class ApiError(HTTPException):
    """A request that fails: status, message, and a `code` that programs can compare.

    `param` names the invalid field. It subclasses FastAPI's exception, which passes through body parsing.
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
        return error_body(self.status_code, self.detail, code=self.code, param=self.param)


def error_body(status: int, message: str, *, code: str, param: str | None = None) -> dict:
    """Format an error as OpenAI's clients expect it; characters that UTF-8 cannot encode are replaced."""
    types = {401: "authentication_error", 429: "rate_limit_error"}
    error_type = "server_error" if status >= 500 else types.get(status, "invalid_request_error")
    param = clean(param) if param else None
    return {"error": {"message": clean(message), "type": error_type, "param": param, "code": code}}


def invalid(message: str, *, param: str | None = None) -> ApiError:
    """The error for an invalid value in a request."""
    return ApiError(400, message, code="invalid_value", param=param)


def add_error_handlers(app: FastAPI) -> None:
    """Make an app report all errors in OpenAI's format."""
    app.add_exception_handler(StarletteHTTPException, _handle_http)
    app.add_exception_handler(RequestValidationError, _handle_validation)
    app.add_exception_handler(Exception, _handle_unexpected)


def _handle_http(request: Request, error: StarletteHTTPException) -> JSONResponse:
    if isinstance(error, ApiError):
        return JSONResponse(error.content, error.status_code, error.headers)
    code = CODES.get(error.status_code, "invalid_request")
    return JSONResponse(
        error_body(error.status_code, _detail(request, error), code=code), error.status_code, error.headers
    )


def _detail(request: Request, error: StarletteHTTPException) -> str:
    """The message for an error that the framework raised."""
    path, method = request.url.path, request.method
    if error.status_code == 404:
        known = request.app.openapi()["paths"]
        return f"{path:.80}: not found; known: {', '.join(known)}"
    if error.status_code == 405:
        return f"{path:.80}: method must be {error.headers['Allow']}, got {method:.20}"
    return UNREADABLE if error.status_code == 400 and error.detail == PARSING else str(error.detail)


def _handle_validation(request: Request, error: RequestValidationError) -> JSONResponse:
    """Explain an invalid body: a wrong Content-Type, malformed JSON, or an invalid field."""
    first = error.errors()[0]
    if (message := _wrong_content_type(request)) is not None:
        explanation = Explanation(message, "unsupported_media_type", None)
    elif first["type"] == "json_invalid":
        reason, place = first["ctx"]["error"], first["loc"][-1]
        explanation = Explanation(
            f"the body is not valid JSON: {reason} at character {place}", "invalid_json", None
        )
    else:
        explanation = explain(error.errors(), error.body)
    return JSONResponse(
        error_body(400, explanation.message, code=explanation.code, param=explanation.param), 400
    )


def _wrong_content_type(request: Request) -> str | None:
    """The message for a body of another content type than the route's; None if it is the right one."""
    expected = request.scope["route"].body_field.field_info.media_type
    content_type = request.headers.get("content-type", "none")
    if content_type.split(";")[0].strip().lower() == expected:
        return None
    return f"Content-Type must be {expected}, got {content_type:.80}"


def _handle_unexpected(_: Request, error: Exception) -> JSONResponse:
    return JSONResponse(error_body(500, "internal error; see the server's log", code="internal_error"), 500)
