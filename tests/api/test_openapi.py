"""The API does what its OpenAPI document says, for calls of every form."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_schema_conformance,
    status_code_conformance,
)

from pgjit.api.http_api import new_endpoints
from tests.api.people import People
from tests.api.test_access_matrix import furnished

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
    negative_data_rejection,
]
_DOCUMENT: dict[str, Any] = new_endpoints("0.0.0").openapi()
# A stream does not end by itself: test_event_stream.py reads it.
# Without the scheme of the token: each call here has one, and test_gate.py calls without.
_OPEN = {**_DOCUMENT, "security": [], "components": {"schemas": _DOCUMENT["components"]["schemas"]}}
_OPERATIONS = schemathesis.openapi.from_dict(_OPEN).exclude(path_regex="/events$").get_all_operations()
OPERATIONS = [found.ok() for found in _OPERATIONS if isinstance(found, Ok)]


class Served:
    """The API with a little of everything, called from tests that do not await."""

    def __init__(self, folder: Path) -> None:
        self._runner = asyncio.Runner()
        self._ports = itertools.count(1)
        self._api = self._runner.run(self._open(folder))

    async def _open(self, folder: Path) -> People:
        api = People(folder)
        await furnished(api)
        return api

    def call(self, case: Any, person: str) -> httpx.Response:
        return self._runner.run(self._call(case.as_transport_kwargs(base_url="https://pgjit"), person))

    async def _call(self, options: dict[str, Any], person: str) -> httpx.Response:
        # From many addresses: the limit of one address is tested elsewhere.
        number = next(self._ports)
        place = f"10.1.{number // 250 % 250}.{number % 250}", 1
        transport = httpx.ASGITransport(self._api.application, client=place)
        if isinstance(options.get("data"), (bytes, str)):
            options["content"] = options.pop("data")
        options["headers"] = {**(options.get("headers") or {}), "Authorization": f"Bearer {person}"}
        async with httpx.AsyncClient(transport=transport) as client:
            return await client.request(**{name: value for name, value in options.items() if name in _OPTIONS})

    def close(self) -> None:
        self._runner.run(self._api.__aexit__())
        self._runner.close()


_OPTIONS = {"method", "url", "headers", "params", "json", "content", "data", "files"}


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    served = Served(tmp_path_factory.mktemp("api"))
    yield served
    served.close()


@pytest.mark.parametrize(
    "examples",
    [pytest.param(4, id="a few calls"), pytest.param(16, id="more calls", marks=pytest.mark.slow)],
)
@pytest.mark.parametrize(
    ("person", "mode"),
    [
        ("admin", GenerationMode.POSITIVE),
        ("admin", GenerationMode.NEGATIVE),
        ("member-reviewer", GenerationMode.POSITIVE),
    ],
)
@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.label)
def test_the_api_does_what_its_document_says(
    operation: Any, person: str, mode: GenerationMode, examples: int, served: Served
) -> None:
    if mode is GenerationMode.NEGATIVE and not (operation.body or operation.query or operation.path_parameters):
        return

    @settings(
        max_examples=examples,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(operation.as_strategy(generation_mode=mode))
    def check(case: Any) -> None:
        case.validate_response(served.call(case, person), checks=CHECKS)

    check()


def test_every_call_of_the_document_needs_a_token_and_may_be_refused() -> None:
    assert _DOCUMENT["security"] == [{"bearer": []}]
    for operations in _DOCUMENT["paths"].values():
        for operation in operations.values():
            assert {"401", "403", "429", "503"} <= operation["responses"].keys()
            assert list(operation["responses"]["422"]["content"]) == ["application/problem+json"]
