"""What is kept of a result: whole rows within the caps, decoded by their types, and no redacted value."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pgjit.audit.results.capture import ResultCapture, ResultReference
from pgjit.policy.pattern import Patterns
from pgjit.policy.policy import ResultCaps
from pgjit.policy.redaction import Redaction
from pgwire.messages.results import Field, encode_data_row, encode_row_description

INT, TEXT = 23, 25
COLUMNS = Redaction(columns=Patterns.of(["public.customers.email"], 2, 3))
CARDS = Redaction(patterns=("[0-9]{13,16}",))


def described(*columns: tuple[str, int, int], table: int = 16400) -> bytes:
    """Name, number in its table, and type of each."""
    fields = tuple(
        Field(name.encode(), table if number else 0, number, type_, -1, -1, 0) for name, number, type_ in columns
    )
    return encode_row_description(fields)[5:]


def capture(
    rows: int = 10, size: int = 1000, redaction: Redaction | None = None,
    open_origins: frozenset[tuple[int, int]] | None = None,
) -> ResultCapture:  # fmt: skip
    return ResultCapture("s/1", ResultCaps(rows=rows, bytes=size), redaction, open_origins)


def kept(found: ResultCapture) -> dict[str, Any]:
    line = found.line()
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    document: dict[str, Any] = json.loads(line)
    return document


@pytest.mark.parametrize("step", [1, 3, 7, 1000])
def test_rows_are_whole_however_they_come(step: int) -> None:
    found = capture()
    found.columns = described(("a", 1, INT), ("b", 2, TEXT))
    data = b"".join(encode_data_row(row) for row in ((b"7", "é\n".encode()), (None, b"")))
    for at in range(0, len(data), step):
        found.add(data[at : at + step], data[at : at + step].count(b"D"))
    assert kept(found) == {
        "execution": "s/1",
        "columns": [{"name": "a", "type": "int4"}, {"name": "b", "type": "text"}],
        "rows": [["7", "é\n"], [None, ""]],
    }


def test_binary_values_are_decoded_by_their_formats() -> None:
    found = capture()
    found.columns, found.formats = described(("a", 1, INT), ("b", 2, TEXT), ("c", 3, 600)), (1, 0, 1)
    found.add(encode_data_row((b"\0\0\0\7", b"x", bytes(16))), 1)
    assert kept(found)["rows"] == [[7, "x", {"base64": "AAAAAAAAAAAAAAAAAAAAAA==", "type": "point"}]]


def test_a_result_that_nobody_described_has_no_columns() -> None:
    found = capture()
    found.add(encode_data_row((b"7", b"\xff")), 1)
    assert kept(found) == {"execution": "s/1", "columns": None, "rows": [["7", {"base64": "/w=="}]]}


def test_it_is_cut_at_the_caps() -> None:
    found = capture(rows=2)
    filling = []
    for number in range(3):
        found.add(encode_data_row((b"%d" % number,)), 1)
        filling.append(found.full)
    assert filling == [False, False, True]
    found.add(encode_data_row((b"3",)), 1)
    assert kept(found)["rows"] == [["0"], ["1"]]
    found.reference = ResultReference("0.results", 0, 5, "ab")
    assert found.members() == {
        "file": "0.results", "offset": 0, "bytes": 5, "sha256": "ab", "rows": 2, "truncated": True,
    }  # fmt: skip
    large = capture(size=50)
    large.add(encode_data_row((b"x" * 30,)), 1)
    before = large.full
    large.add(encode_data_row((b"y" * 30,)), 1)
    assert (before, large.full) == (False, True)
    assert kept(large)["rows"] == [["x" * 30]]
    assert large.kept == 1


def test_what_could_not_be_kept_says_so() -> None:
    found = capture()
    assert (found.empty, found.waiting) == (True, False)
    found.add(encode_data_row((b"7",)), 1)
    assert (found.empty, found.waiting) == (False, True)
    found.failed = True
    assert (found.empty, found.waiting) == (False, False)
    assert found.members() == {"kept": False}


def test_columns_stay_only_if_their_origin_is_open() -> None:
    found = capture(redaction=COLUMNS, open_origins=frozenset({(16400, 1)}))
    found.columns = described(("id", 1, INT), ("email", 3, TEXT), ("lower", 0, TEXT))
    found.add(encode_data_row((b"7", b"a@b", None)), 1)
    document = kept(found)
    assert document["rows"] == [["7", "[redacted]", "[redacted]"]]
    assert [column.get("redacted") for column in document["columns"]] == [None, True, True]
    unknown = capture(redaction=COLUMNS, open_origins=frozenset({(16400, 1)}))
    unknown.add(encode_data_row((b"7", b"a@b")), 1)
    assert kept(unknown)["rows"] == [["[redacted]", "[redacted]"]]
    copied = capture(redaction=COLUMNS, open_origins=frozenset({(16400, 1)}))
    copied.add(b"d\0\0\0\x08a@b\n", 1)
    assert kept(copied)["rows"] == [["[redacted]"]]


def test_patterns_are_searched_in_every_value_and_name() -> None:
    found = capture(redaction=CARDS)
    found.columns = described(("4111111111111111", 1, TEXT), ("b", 2, TEXT), ("c", 3, TEXT))
    found.add(encode_data_row((b"x", b"my 4111111111111111 x", b"411")), 1)
    found.add(encode_data_row((b"\xff", None, b"4111111111111112")), 1)
    document = kept(found)
    assert document["rows"] == [["x", "[redacted]", "411"], ["[redacted]", None, "[redacted]"]]
    assert [column["name"] for column in document["columns"]] == ["[redacted]", "b", "c"]


def test_a_row_that_cannot_be_read_is_kept_as_bytes() -> None:
    found = capture()
    found.add(b"D\0\0\0\x06\0\x05", 1)
    assert kept(found)["rows"] == [[{"base64": "AAU="}]]
