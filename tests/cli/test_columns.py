"""Tables fit their width; what the next command needs is never cut."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from pgjit.audit.plain_text import plain
from pgjit.cli.columns import TableColumn, columns, shortened

ID = "r_" + "0" * 32
TITLES = (
    TableColumn("ID", keep=True),
    TableColumn("WHO"),
    TableColumn("POLICY"),
    TableColumn("AGE", keep=True, right=True),
)


def test_a_table_that_fits_is_not_cut() -> None:
    assert columns((TableColumn("A"), TableColumn("N", right=True)), [("one", "1"), ("two", "22")], 80) == [
        "A     N", "one   1", "two  22",
    ]  # fmt: skip


def test_the_middle_of_the_widest_cell_is_cut() -> None:
    assert shortened("schema-check-agent", 9) == "sche…gent"
    assert shortened("agent", 5) == "agent"


@given(st.lists(st.tuples(st.text(max_size=60), st.text(max_size=60)), max_size=4))
def test_a_table_fits_80_columns_and_keeps_the_id(rows: list[tuple[str, str]]) -> None:
    lines = columns(TITLES, [(ID, who, policy, "12m") for who, policy in rows], 80)
    assert all(cell_len(line) <= 80 for line in lines)
    assert all(line.startswith(ID) and line.endswith("12m") for line in lines[1:])
    assert all(line == plain(line) for line in lines)


@given(st.text(), st.integers(min_value=0, max_value=20))
def test_no_text_is_longer_than_its_width(text: str, width: int) -> None:
    assert cell_len(shortened(text, width)) <= width or cell_len(text) <= width
