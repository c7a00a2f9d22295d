"""Random conversations about names: what a client may do with prepared statements, portals and cursors, by any way.

Each statement that gives or writes rows has a constant of its own (`k17`), each value that is bound or given one too
(`v18`): a row says by them what made it. Decides what is sent; what becomes of it is `name_spaces.py`'s.
"""

from __future__ import annotations

import random
from collections.abc import Callable

from pgwire.messages.extended import (
    Bind,
    DescribeTarget,
    Execute,
    Parse,
    encode_bind,
    encode_execute,
    encode_parse,
    sync,
)
from pgwire.messages.extended import encode_target as target
from pgwire.messages.query import encode_query

__all__ = ["Author"]

_SHORT = ("a", "b", "c")
_LONG = ("é" * 32 + "a", "é" * 32 + "b", "n" * 63 + "x", "n" * 63 + "y", "ü")
_DO = "DO $$ BEGIN EXECUTE 'DEALLOCATE {0}'; EXECUTE 'PREPARE {0} AS SELECT ''{1}'''; END $$"


class Author:
    """Writes one conversation: messages, to be sent in order."""

    def __init__(self, seed: int, *, full: bool) -> None:
        self._random = random.Random(seed)
        self._full = full
        self._count = 0
        # What there may be by now: names of statements with how many values each takes, and of portals.
        self._needs: dict[str, int] = {}
        self._portals: dict[str, None] = {}

    def conversation(self) -> list[bytes]:
        messages: list[bytes] = []
        for name in _SHORT:
            messages += [encode_parse(Parse(name.encode(), self._statement(prepared=name).encode(), ())), sync()]
        if self._chance(0.7):
            messages.append(encode_query(b"BEGIN"))
        begun = len(messages)
        while len(messages) < begun + 10 or self._chance(0.93):
            if self._chance(0.3):
                end = self._random.choice((b"ROLLBACK TO z", b"ROLLBACK TO z", b"RELEASE z"))
                messages += [encode_query(b"SAVEPOINT z"), *self._step(), sync(), encode_query(end)]
            else:
                messages += self._step()
            if self._chance(0.2):
                messages += [sync(), encode_query(b"ROLLBACK; BEGIN")]
        return [*messages, sync(), encode_query(b"ROLLBACK"), encode_query(b"SELECT 'end'")]

    def _chance(self, share: float) -> bool:
        return self._random.random() < share

    def _new(self, letter: str) -> str:
        self._count += 1
        return f"{letter}{self._count}"

    def _name(self) -> str:
        return self._random.choice(_LONG if self._chance(0.15) else _SHORT)

    def _known(self, names: dict[str, int] | dict[str, None]) -> str:
        """One that may be there, mostly."""
        there = list(names)
        return self._random.choice(there) if there and self._chance(0.8) else self._name()

    def _statement_name(self) -> str:
        return self._known({name: 0 for name in self._needs if name})

    def _cursor(self) -> str:
        return self._known({name: None for name in self._portals if name})

    def _step(self) -> list[bytes]:
        steps: tuple[tuple[int, Callable[[], list[bytes]]], ...] = (
            (30, self._query), (12, self._parse), (10, self._bind), (12, self._execute), (4, self._close),
            (3, self._describe), (14, lambda: [sync()]), (25, self._at_once),
        )  # fmt: skip
        [(_, step)] = self._random.choices(steps, [weight for weight, _ in steps])
        return step()

    # --- messages ---

    def _query(self) -> list[bytes]:
        several = self._random.choice((1, 1, 1, 1, 2, 3))
        statements = [self._statement() for _ in range(several)]
        messages = []
        for statement in statements:
            verb, _, rest = statement.partition(" ")
            if verb in ("PREPARE", "DECLARE") and self._chance(0.8):  # make room for the name
                name = rest.split('"')[1].encode()
                messages.append(target(b"C", DescribeTarget("S" if verb == "PREPARE" else "P", name)))
        if messages:
            messages.append(sync())
        return [*messages, encode_query("; ".join(statements).encode())]

    def _parse(self) -> list[bytes]:
        name = "" if self._chance(0.2) else self._name()
        return [encode_parse(Parse(name.encode(), self._statement(prepared=name).encode(), ()))]

    def _bind(self, portal: str | None = None, name: str | None = None) -> list[bytes]:
        portal = self._portal() if portal is None else portal
        name = self._known(self._needs) if name is None else name
        self._portals[portal] = None
        values = tuple(self._new("v").encode() for _ in range(self._needs.get(name, 0)))
        return [encode_bind(Bind(portal.encode(), name.encode(), (), values, ()))]

    def _portal(self) -> str:
        return "" if self._chance(0.4) else self._name()

    def _execute(self, portal: str | None = None) -> list[bytes]:
        limit = self._random.choice((0, 0, 0, 1, 2))
        return [encode_execute(Execute((self._cursor() if portal is None else portal).encode(), limit))]

    def _close(self) -> list[bytes]:
        return [target(b"C", DescribeTarget(self._random.choice("SP"), self._name().encode()))]

    def _describe(self) -> list[bytes]:
        return [target(b"D", DescribeTarget(self._random.choice("SP"), self._name().encode()))]

    def _at_once(self) -> list[bytes]:
        """Parse, Bind and Execute that belong together, and often a Close before them."""
        name, portal = self._random.choice(("", self._name())), self._portal()
        messages = []
        if name and self._chance(0.7):
            messages.append(target(b"C", DescribeTarget("S", name.encode())))
        if portal and self._chance(0.7):
            messages.append(target(b"C", DescribeTarget("P", portal.encode())))
        messages.append(encode_parse(Parse(name.encode(), self._statement(prepared=name).encode(), ())))
        messages += [*self._bind(portal, name), *self._execute(portal)]
        if self._chance(0.3):
            messages += self._execute(portal)
        return [*messages, sync()] if self._chance(0.7) else messages

    # --- statements ---

    def _statement(self, prepared: str | None = None) -> str:
        """`prepared`: the name that a Parse gives it."""
        if prepared is not None:
            self._needs[prepared] = 0
        if self._chance(0.3):
            return self._plain(prepared)
        names: tuple[tuple[int, Callable[[], str]], ...] = (
            (34, lambda: self._run_prepared(prepared)), (18, self._fetch), (12, self._prepare), (10, self._declare),
            (5, lambda: f'DEALLOCATE "{self._statement_name()}"'), (5, lambda: f'CLOSE "{self._cursor()}"'),
            (2, lambda: self._random.choice(("DEALLOCATE ALL", "CLOSE ALL", "DISCARD ALL"))),
            (10, self._transaction), (1, lambda: "SELECT 1/0"), (1, lambda: "SELECT FROM FROM"),
            (2, self._code), (1, lambda: ""),
        )  # fmt: skip
        [(_, choice)] = self._random.choices(names, [weight for weight, _ in names])
        return choice()

    def _plain(self, prepared: str | None) -> str:
        constant = self._new("k")
        if prepared is not None and self._chance(0.3):
            self._needs[prepared] = 1
            return f"SELECT '{constant}', $1::text"
        return self._random.choice(
            (
                f"SELECT '{constant}'",
                f"SELECT '{constant}' FROM generate_series(1, 3)",
                f"INSERT INTO kept VALUES ('{constant}')",
                f"INSERT INTO kept VALUES ('{constant}') RETURNING value",
                f"COPY (SELECT '{constant}') TO STDOUT",
            )
        )

    def _run_prepared(self, within: str | None) -> str:
        name = self._statement_name()
        if name == within and self._chance(0.95):
            return self._plain(within)
        values = ", ".join(f"'{self._new('v')}'" for _ in range(self._needs.get(name, 0)))
        execute = f'EXECUTE "{name}"' + (f"({values})" if values else "")
        if self._chance(0.15):
            analyze = self._random.choice(("", ", ANALYZE, TIMING OFF, SUMMARY OFF"))
            return f"EXPLAIN (VERBOSE, COSTS OFF{analyze}) {execute}"
        if self._full and self._chance(0.05):
            return f"CREATE TEMP TABLE {self._new('t')} AS {execute}"
        return execute

    def _fetch(self) -> str:
        what = self._random.choice((*["FETCH ALL FROM"] * 2, "FETCH", "FETCH 0 FROM", "MOVE", "FETCH 2 FROM"))
        return f'{what} "{self._cursor()}"'

    def _prepare(self) -> str:
        name, constant = self._name(), self._new("k")
        if self._chance(0.3):
            self._needs[name] = 1
            return f"PREPARE \"{name}\"(text) AS SELECT '{constant}', $1"
        self._needs[name] = 0
        insert = f"INSERT INTO kept VALUES ('{constant}') RETURNING value"
        query = insert if self._chance(0.3) else f"SELECT '{constant}'"
        return f'PREPARE "{name}" AS {query}'

    def _declare(self) -> str:
        hold, name = " WITH HOLD" if self._chance(0.4) else "", self._name()
        self._portals[name] = None
        return f"DECLARE \"{name}\" CURSOR{hold} FOR SELECT '{self._new('k')}' FROM generate_series(1, 2)"

    def _transaction(self) -> str:
        point = self._random.choice("st")
        return self._random.choice(
            (
                "BEGIN", "BEGIN", "COMMIT", "ROLLBACK", f"SAVEPOINT {point}", f"SAVEPOINT {point}",
                f"ROLLBACK TO {point}", f"ROLLBACK TO {point}", f"RELEASE {point}",
            )
        )  # fmt: skip

    def _code(self) -> str:
        if not self._full:
            return "SELECT 1/0"
        return _DO.format(self._random.choice(_SHORT), self._new("k"))
