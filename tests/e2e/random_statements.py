"""Random statements, each with a tag of its own, and how many rows each returns or writes.

Decides what clients send. Statements have no `;` inside, so that a message of several can be cut there.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator
from dataclasses import dataclass

__all__ = ["Asked", "Statements"]


@dataclass(frozen=True, slots=True)
class Asked:
    """`rows`: how many it returns or writes; None where it fails, at the server or at pgjit."""

    text: str
    tag: str
    rows: int | None
    returns: bool = False  # rows, and no more than a count


class Statements:
    """All clients of a run share the tags."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self._tags = (f"t{seed}x{number}x" for number in itertools.count(1))

    def tag(self) -> str:
        return next(self._tags)

    def any(self) -> Asked:
        return self.good() if self.chance.random() < 0.75 else self.bad()

    def good(self) -> Asked:
        tag, rows = self.tag(), self.chance.choice((0, 1, 1, 2, 7, 300))
        series = f"generate_series(1, {rows})"
        texts = (
            (f"SELECT g, '{tag}' FROM {series} g", True),
            (f"TABLE notes UNION ALL SELECT g, '{tag}', now(), '' FROM {series} g ORDER BY 1 LIMIT {rows}", True),
            (f"INSERT INTO notes (note) SELECT '{tag}' FROM {series}", False),
            (f"INSERT INTO notes (note) SELECT '{tag}' FROM {series} RETURNING id, note", True),
            (f"WITH n AS (INSERT INTO notes (note) SELECT '{tag}' FROM {series} RETURNING id) TABLE n", True),
            (f"/* {tag} */ UPDATE notes SET note = 'new' WHERE false", None),
            (f"DELETE FROM notes WHERE note = 'none of {tag}'", None),
            (f"SELECT '{tag}\n\tin lines' FROM {series} -- of them", True),
        )  # fmt: skip
        text, returns = self.chance.choice(texts)
        return Asked(text, tag, 0 if returns is None else rows, bool(returns))

    def bad(self) -> Asked:
        tag = self.tag()
        texts = (
            f"SELECT 1 / (length('{tag}') - length('{tag}'))",
            f"SELECT 1 / (g - 250), '{tag}' FROM generate_series(1, 300) g",  # some rows are sent before
            f"SELECT '{tag}'::int",
            f"SELECT '{tag}' FROM no_such_table",
            f"SELEC '{tag}'",
            f"INSERT INTO notes (note) SELECT NULL WHERE '{tag}' <> ''",
            f"INSERT INTO once (tag) VALUES ('{tag}'), ('{tag}')",  # deferred: it fails at the end of its transaction
            f"DELETE FROM customers WHERE name = '{tag}'",
            f"SELECT pg_read_file('{tag}')",
            f"SELECT '{tag}' WHERE no_such_function(1)",
        )
        return Asked(self.chance.choice(texts), tag, None)

    def several(self) -> Iterator[Asked]:
        for _ in range(self.chance.randrange(2, 5)):
            yield self.any() if self.chance.random() < 0.2 else self.good()
