"""The section `api.console`: an address that browsers see, and where the client secret is."""

from __future__ import annotations

from datetime import timedelta

import pytest
from pydantic import ValidationError

from pgjit.api.console_section import ConsoleSection
from tests.run.rows import table


def test_the_redirect_uri_is_below_the_address() -> None:
    section = ConsoleSection(url="https://pgjit.example.com:8432/", client_id="c")
    assert (section.url, section.redirect_uri) == (
        "https://pgjit.example.com:8432",
        "https://pgjit.example.com:8432/signed-in",
    )
    assert (section.idle, section.absolute) == (timedelta(minutes=30), timedelta(hours=10))


@table(
    "url",
    [
        "http://pgjit.example.com",
        "https://pgjit.example.com/console",
        "https://user@pgjit.example.com",
        "https://",
        "pgjit.example.com",
        "https://Pgjit.example.com",
        "https://pgjit.example.com?x",
        "",
    ],
)
def test_an_address_that_browsers_do_not_see_is_refused(url: str) -> None:
    with pytest.raises(ValidationError):
        ConsoleSection(url=url, client_id="c")


@table(
    "changes",
    [
        {"client_id": ""},
        {"idle_minutes": 0},
        {"absolute_hours": 25},
        {"client_secret": {}},
        {"client_secret": {"env": "A", "file": "b"}},
        {"client_secret": "a secret"},
        {"unknown": 1},
    ],
)
def test_values_out_of_bounds_are_refused(changes: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        ConsoleSection.model_validate({"url": "https://console.test", "client_id": "c", **changes})
