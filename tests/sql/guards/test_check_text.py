"""The checks around the parser: each refuses with its own reference, and ordinary text passes all of them."""

from __future__ import annotations

import pytest

from pgjit.errors import StatementRefused
from pgjit.sql.guards.check_text import check_text, check_tree_size
from pgjit.sql.parse import read_message

REFUSED = {
    "a zero byte": ("SELECT 1\0", "invalid-encoding", "22021"),
    "a long run of operators": ("SELECT " + "/*" * 8192, "statement-too-deep", "54001"),
    "a wide assignment": (
        f"UPDATE t SET ({', '.join(f'c{number}' for number in range(400))}) = (SELECT * FROM s)",
        "statement-too-large", "54000",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_harmful_text_is_refused_before_it_is_parsed(name: str) -> None:
    text, reference, sqlstate = REFUSED[name]
    with pytest.raises(StatementRefused) as refused:
        check_text(text)
    assert (reference, sqlstate) == (refused.value.reference, refused.value.fields()["C"])


def test_ordinary_text_passes() -> None:
    check_text("UPDATE t SET (a, b) = (SELECT 1, 2) WHERE id = 1 -- a comment")


def test_a_tree_may_be_large_or_many_times_its_text_but_not_both() -> None:
    check_tree_size(1024 * 1024, 10)
    check_tree_size(100 * 1024 * 1024, 1024 * 1024)
    with pytest.raises(StatementRefused, match="too many columns"):
        check_tree_size(100 * 1024 * 1024, 1024)


def test_output_that_is_many_times_the_text_is_refused_whatever_made_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pgjit.sql.guards.check_text._TREE_BYTES", 100)
    monkeypatch.setattr("pgjit.sql.guards.check_text._TREE_RATIO", 1)

    with pytest.raises(StatementRefused, match="too many columns"):
        read_message("SELECT 1")
