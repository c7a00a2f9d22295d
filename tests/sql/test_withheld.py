"""A withheld constant gives away nothing."""

from __future__ import annotations

import copy
import pickle
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest

from pgjit import sql as sql_room
from pgjit.sql.constants import shape_of
from pgjit.sql.parse import read_message
from pgjit.sql.shape.tautologies import same_tree
from pgjit.sql.withheld import ConstantRead, Withheld

READS: dict[str, Callable[[Any], object]] = {
    "equal": lambda it: it == "a",
    "equal to a number": lambda it: it == 5,
    "unequal": lambda it: it != "a",
    "less": lambda it: it < 5,
    "greater": lambda it: it > 5,
    "true": lambda it: not it,
    "or": lambda it: it or "",
    "hashed": lambda it: it in {"a", "b"},
    "in a list": lambda it: it in ["a", "b"],
    "a key": lambda it: {it: 1},
    "formatted": lambda it: f"{it}",
    "formatted as a number": lambda it: f"{it:d}",
    "method": lambda it: it.lower(),
    "sum": lambda it: it + 1,
    "sum the other way": lambda it: 1 + it,
    "an index": lambda it: "abc"[it],
    "indexed": lambda it: it[0],
    "a str": lambda it: isinstance(it, str),
    "an int": lambda it: isinstance(it, bool | int),
    "text": str, "shown": repr, "number": int, "length": len, "loop": list, "pickled": pickle.dumps,
    "copied": copy.deepcopy, "hash": hash, "encoded": bytes,
}  # fmt: skip


@pytest.mark.parametrize("read", READS.values(), ids=READS)
def test_whatever_reads_a_withheld_constant_is_stopped(read: Callable[[Any], object]) -> None:
    with pytest.raises(ConstantRead):
        read(Withheld())


@pytest.mark.parametrize("read", ["".join, orjson.dumps, "a".startswith, re.compile("a").match])
def test_what_is_written_in_c_fails_or_is_stopped(read: Callable[[Any], object]) -> None:
    with pytest.raises((ConstantRead, TypeError)):
        read([Withheld()] if read == "".join else Withheld())


def test_no_handler_of_errors_swallows_it() -> None:
    assert not issubclass(ConstantRead, Exception)


@pytest.mark.parametrize("other", ["a", 5, 0, ""])
def test_trees_are_not_taken_for_unequal_because_a_constant_is_withheld(other: object) -> None:
    with pytest.raises(ConstantRead):
        same_tree({"sval": Withheld()}, {"sval": other})
    with pytest.raises(ConstantRead):
        same_tree({"sval": Withheld()}, {"sval": Withheld()})


def test_the_facts_of_a_statement_hold_no_constant_and_its_text_comes_back() -> None:
    sql = "SELECT 'a', -5 FROM t WHERE x = 7 LIMIT 3"
    message = read_message(sql, shape=shape_of(sql.encode()))
    assert isinstance(message.statements[0].text, Withheld)
    assert message.constants_read == (3,)
    message.give_texts()
    assert message.statements == read_message(sql).statements


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT 1; SELECT 2", "PREPARE a AS SELECT 5", "EXECUTE a (5)", "SET a.b = 5", "COPY (SELECT 5) TO STDOUT",
        "SELECT set_config('a.b', '5', true)", "EXPLAIN SELECT 5", "DECLARE c CURSOR FOR SELECT 5", "FETCH 5 FROM c",
        "DELETE FROM t WHERE 1 = 1", "DO 'x'", "CREATE TABLE t AS SELECT 5", "VACUUM (PARALLEL 5) t",
        "SELECT current_setting('x')",
    ],
)  # fmt: skip
def test_other_statements_are_not_read_so(sql: str) -> None:
    with pytest.raises(ConstantRead):
        read_message(sql, shape=shape_of(sql.encode()))


_TYPE_TEST = re.compile(r"\btype\([^)]*\) (?:is|is not|in|not in|==|!=) .*\b(?:str|int|float|bool)\b")
_SWALLOWS = re.compile(r"except (?:\(?.*\b(?:Exception|BaseException|TypeError|AttributeError)\b|:)")


def test_no_reader_of_a_tree_tests_the_type_of_a_value_or_goes_on_after_any_error() -> None:
    """A withheld constant could not stop it: it would decide as if the constant were something else."""
    room = Path(sql_room.__file__).parent
    found = [
        file.name
        for file in [*room.rglob("*.py"), *(room.parent / "policy").rglob("*.py")]
        for line in file.read_text("utf-8").splitlines()
        if file.name != "withheld.py" and (_TYPE_TEST.search(line) or _SWALLOWS.search(line))
    ]
    # The first passes over all constants. The others are about a text, when the decision is made.
    assert sorted(found) == ["encodings.py", "parse.py", "parse.py", "parse.py"]
