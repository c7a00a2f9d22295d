"""Every error of the endpoints as a problem document (RFC 9457), in one shape and without a trace.

Decides which error stands for what FastAPI reports by itself: unknown paths, methods, malformed values.
"""

from __future__ import annotations

from collections.abc import Sequence
from http import HTTPStatus
from typing import Any, cast

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict
from starlette.exceptions import HTTPException

from pgjit.api.gate import internal_error, problem_of
from pgjit.api.refusals import CallRefused, InvalidCall
from pgjit.errors import PgjitError

__all__ = ["ProblemJson", "add_problems", "document"]

_MOST_FAULTS = 8
_REFUSALS = (400, 401, 403, 404, 405, 408, 409, 413, 422, 423, 429, 500, 503)


class ProblemJson(BaseModel):
    """An error."""

    model_config = ConfigDict(title="Problem")

    type: str
    title: str
    status: int
    reference: str
    sqlstate: str
    detail: str | None = None
    hint: str | None = None
    position: int | None = None
    """The character, counted from 1, at which a query is wrong."""
    progress: dict[str, int] | None = None
    """While the audit is being prepared: `done` and `whole`, in bytes."""


def document(api: FastAPI) -> None:
    """Complete the OpenAPI document: every call needs a token, and may be refused by a problem document."""
    generate = api.openapi

    def complete() -> dict[str, Any]:
        if api.openapi_schema is None:
            written = generate()
            parts = written.setdefault("components", {})
            parts.setdefault("schemas", {})["Problem"] = ProblemJson.model_json_schema()
            parts["securitySchemes"] = {"bearer": {"type": "http", "scheme": "bearer"}}
            written["security"] = [{"bearer": []}]
            for path in written["paths"].values():
                for operation in path.values():
                    _add_refusals(operation["responses"])
        assert api.openapi_schema is not None
        return api.openapi_schema

    api.openapi = complete  # type: ignore[method-assign]


def _add_refusals(responses: dict[str, Any]) -> None:
    content = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
    for status in _REFUSALS:
        responses[str(status)] = {"description": HTTPStatus(status).phrase, "content": content}


def add_problems(api: FastAPI) -> None:
    @api.exception_handler(PgjitError)
    async def refused(_request: Request, error: Exception) -> Response:
        return _response(cast(PgjitError, error))

    @api.exception_handler(RequestValidationError)
    async def invalid(_request: Request, error: Exception) -> Response:
        return _response(InvalidCall(_faults(cast(RequestValidationError, error).errors())))

    @api.exception_handler(HTTPException)
    async def http(_request: Request, error: Exception) -> Response:
        fault = cast(HTTPException, error)
        response = _response(_of_http(fault))
        for name, value in (fault.headers or {}).items():
            response.headers[name] = value
        return response

    @api.exception_handler(Exception)
    async def failed(_request: Request, _error: Exception) -> Response:
        return _response(internal_error())  # the gate writes the error to the log


def _response(error: PgjitError) -> Response:
    status, body, headers = problem_of(error)
    response = Response(body, status)
    response.raw_headers = [each for each in response.raw_headers if each[0] != b"content-type"] + headers
    return response


def _of_http(fault: HTTPException) -> CallRefused:
    match fault.status_code:
        case 404:
            return InvalidCall("There is no such path.", reference="path-unknown", status=404)
        case 405:
            return InvalidCall("The path has no such method.", reference="method-not-allowed", status=405)
        case status if 400 <= status < 500:
            return InvalidCall("The call cannot be read.", status=status)
        case _:
            return internal_error()


def _faults(faults: Sequence[Any]) -> str:
    """One line for people. It names places, and never repeats a value."""
    lines = [f"`{'.'.join(str(part) for part in fault['loc'])}`: {fault['msg'].lower()}" for fault in faults]
    more = f"; and {len(lines) - _MOST_FAULTS} more" if len(lines) > _MOST_FAULTS else ""
    return "; ".join(line[:200] for line in lines[:_MOST_FAULTS]) + more
