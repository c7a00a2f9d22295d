"""Long runs of operator characters are found before they are parsed; what people write is not."""

from __future__ import annotations

import pytest

from pgjit.errors import StatementRefused
from pgjit.sql.guards.quadratic_lexing import lexes_quadratically
from pgjit.sql.parse import read_message


@pytest.mark.parametrize(
    "text",
    [
        "SELECT 1" + "/*" * 50_000,
        "SELECT 1" + "/*" * 30_000 + "*/" * 30_000,
        "SELECT 1 " + "/*+" * 8_000,
        "SELECT '" + "/*" * 5_000 + "'",
        "SELECT " + "+" * 8_000 + "1",
        "SELECT " + "-+" * 8_000 + "1",
        "SELECT 1 " + "+" * 100_000,
    ],
)
def test_what_would_take_seconds_is_refused_before_it_is_parsed(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert lexes_quadratically(text)
    monkeypatch.delattr("pgjit.sql.parse.parse_sql_json")
    with pytest.raises(StatementRefused) as refused:
        read_message(text)
    assert refused.value.reference == "statement-too-deep"


@pytest.mark.parametrize(
    "text",
    [
        "SELECT 1 /* one */ /* two */",
        "/*" + "=" * 5_000 + "*/ SELECT 1",
        "-" * 5_000 + "\nSELECT 1",
        "SELECT 1 " + "/* a */ " * 5_000,
        "SELECT 1 " + "/*" * 200 + "*/" * 200,
    ],
)
def test_what_people_write_is_read(text: str) -> None:
    assert not lexes_quadratically(text)
    assert len(read_message(text).statements) == 1
