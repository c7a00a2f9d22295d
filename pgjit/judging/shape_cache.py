"""Remembers what was allowed by the shape of its text, for texts that differ only in constants that did not decide.

`SELECT abalance FROM accounts WHERE aid = 5` was judged without a look at the 5 (`sql/withheld.py`), so the same text
with a 7 is allowed as well. A constant that was looked at, such as the number of a LIMIT, has to be the same.

INVARIANT: only what was allowed is remembered, with nothing observed; whatever is refused is judged anew. What
depends on the text is made for each text: the text itself, and that of the statement. Names have no position.

A cache belongs to one policy and one catalog, as its `Judge` does.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from dataclasses import dataclass, fields
from operator import attrgetter
from typing import NamedTuple

from pgjit.errors import StatementRefused
from pgjit.judging.judgement import Judgement
from pgjit.sql.constants import TextShape, constants_in, is_plain, possible_shape_of
from pgjit.sql.guards.check_text import check_text
from pgjit.sql.statement import Name, Statement, StatementSummary

__all__ = ["ShapeCache"]

_MOST_SHAPES = 512
_MOST_VALUES = 16
"""How many values of the constants that were looked at are remembered for a shape."""

_FIELDS = tuple(each.name for each in fields(Statement))
assert (_FIELDS[:4], _FIELDS[-1]) == (("index", "kind", "text", "position"), "summary")
_FACTS = attrgetter(*_FIELDS[4:-1])
_NAMES = [
    _FIELDS[4:-1].index(name) for name in ("functions", "relations", "targets", "types", "unread_types", "operators")
]


@dataclass(frozen=True, slots=True)
class _Remembered:
    """An allowed judgement, but for its texts."""

    index: int
    kind: str
    position: int  # where the statement begins
    tail: int  # how many characters come after it
    facts: tuple[object, ...]
    summary: StatementSummary  # equal for all texts, so they share it
    parameter_types: frozenset[int]
    judge_number: int
    constants_read: tuple[int, ...]

    def judgement(self, text: str) -> Judgement:
        own = text[self.position : len(text) - self.tail]
        statement = Statement(self.index, self.kind, own, self.position, *self.facts, self.summary)  # type: ignore[call-arg, arg-type]
        return Judgement(
            text, (statement,), (), parameter_types=self.parameter_types, judge_number=self.judge_number,
            constants_read=self.constants_read,
        )  # fmt: skip


class _Known(NamedTuple):
    """What is known about a shape: the constants that were looked at, and what is remembered for their values."""

    read: tuple[int, ...]
    remembered: dict[tuple[bytes, ...], _Remembered]


class ShapeCache:
    def __init__(self, most: int = _MOST_SHAPES) -> None:
        self._most = most
        self._known: OrderedDict[bytes, _Known | None] = OrderedDict()  # None: a constant decides
        self._latest: tuple[bytes, TextShape | None] = (b"", None)  # a text that is not found is looked for again
        self._possible: tuple[bytes, TextShape | None] = (b"", None)

    def __len__(self) -> int:
        return len(self._known)

    def find(self, sql: bytes) -> Judgement | None:
        shape = possible_shape_of(sql)
        self._possible = sql, shape
        if shape is None or (known := self._known.get(shape.key)) is None:
            return None
        read, remembered = known
        literals = shape.parts
        found = remembered.get(tuple([literals[2 * index + 1] for index in read]))
        if found is None:
            return None
        text = sql.decode("ascii")
        try:
            check_text(text)
        except StatementRefused:
            return None
        self._known.move_to_end(shape.key)
        return found.judgement(text)

    def wanted(self, sql: bytes) -> TextShape | None:
        """The shape to judge `sql` with. None: it has none, or a constant is known to decide."""
        shape = self._shape(sql)
        return None if shape is None or self._known.get(shape.key, ()) is None else shape

    def add(self, sql: bytes, judgement: Judgement) -> None:
        """Remember the judgement of `sql` by the judge of this cache, if it may be."""
        if judgement.violations or (shape := self._shape(sql)) is None:
            return
        known = self._known.get(shape.key)
        remembered = _remember(judgement, shape)
        if remembered is None:
            if known is None:
                self._known[shape.key] = None
        else:
            if known is None or known.read != remembered.constants_read:
                known = self._known[shape.key] = _Known(remembered.constants_read, {})
            if len(known.remembered) >= _MOST_VALUES:
                known.remembered.clear()
            literals = shape.literals
            known.remembered[tuple(literals[index] for index in known.read)] = remembered
        if len(self._known) > self._most:
            self._known.popitem(last=False)

    def _shape(self, sql: bytes) -> TextShape | None:
        if self._latest[0] != sql:
            text, possible = self._possible
            shape = possible if text is sql else possible_shape_of(sql)
            self._latest = sql, shape if is_plain(sql) else None
        return self._latest[1]


def _remember(judgement: Judgement, shape: TextShape) -> _Remembered | None:
    """None if it is not to be remembered."""
    read = judgement.constants_read
    if read is None or judgement.violations or judgement.observed or len(judgement.statements) != 1:
        return None
    (one,) = judgement.statements
    end = one.position + len(one.text)
    if one.summary is None or one.summary.redacted is not None or judgement.text[one.position : end] != one.text:
        return None
    if _shows_others(one.summary, [shape.literals[index] for index in read]):
        return None
    facts = list(_FACTS(one))
    for index in _NAMES:
        if facts[index]:
            facts[index] = tuple([Name(each.parts) for each in facts[index]])
    return _Remembered(
        one.index, one.kind, one.position, len(judgement.text) - end, tuple(facts), one.summary,
        judgement.parameter_types, judgement.judge_number, read,
    )  # fmt: skip


def _shows_others(summary: StatementSummary, read: list[bytes]) -> bool:
    """Whether the summary has a constant that was not looked at: then it is not that of another text.

    Where libpg_query leaves constants in a normalised text, `withholding.py` should know of it. It may not know all.
    """
    shown = constants_in(summary.normalised) if summary.normalised else []
    return bool(shown) and not Counter(shown) <= Counter(read)
