"""A stand-in for the API, which the commands call in the place of a server."""

from __future__ import annotations

import httpx
import pytest

from pgjit.cli import api_client
from tests.fakes.api_stand_in import ApiStandIn


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> ApiStandIn:
    """The environment has its address, a token, and 80 columns."""
    standin = ApiStandIn()
    monkeypatch.setattr(api_client, "transport", lambda ca: httpx.MockTransport(standin))
    monkeypatch.setenv("PGJIT_API", "https://pgjit.example.com:8432")
    monkeypatch.setenv("PGJIT_TOKEN", "a.b.c")
    monkeypatch.setenv("COLUMNS", "80")
    return standin
