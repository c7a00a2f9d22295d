"""The session's prepared statements and portals. Messages of the protocol and SQL share their names.

Decides what a name stands for at each moment. Two views are kept: what the server has confirmed, and what will hold
if everything that was sent succeeds. An error falls back to the first. A name is unsettled while a change of it is
under way that may fail although the next message runs. Does not know what runs by a name: `executed_statement.py`
does.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Protocol

from pgjit.proxy.relay.exchange import LoneExchange
from pgjit.proxy.relay.name_view import NameView
from pgjit.proxy.relay.named_values import Change, Portal, Prepared, Space
from pgjit.sql.encodings import key_of
from pgwire.messages.extended import DescribeTarget

__all__ = ["MOST", "MOST_BYTES", "PreparedStatements", "Trial", "Unit"]

MOST = 10_000
MOST_BYTES = 32 * 1024 * 1024
"""How many names a session may hold, for each error copies them, and how many bytes of what they stand for."""


_AS_IT_IS = 63  # bytes of a name: the server cuts off no part of it


class Unit(Protocol):
    """A request that changes a name. An error passes over the rest of its `segment`, and of no other."""

    @property
    def segment(self) -> int: ...

    @property
    def answered(self) -> bool: ...


class PreparedStatements:
    def __init__(self, encoding: str = "UTF8") -> None:
        """`encoding`: the server's. The first 63 bytes of a name in this encoding count (NAMEDATALEN)."""
        self.encoding = encoding
        self._confirmed = NameView()
        self._expected = NameView()
        # The latest change of each name (None: of all names), numbered in the order of sending.
        self._last: dict[Space, dict[bytes | None, tuple[int, Unit]]] = {"statement": {}, "portal": {}}
        self._count = 0

    def is_certain(self, name: bytes) -> bool:
        """Whether pgjit knows which name this is to the server."""
        return key_of(name, self.encoding) is not None

    def key(self, name: bytes) -> bytes:
        return key_of(name, self.encoding) or name

    def statement(self, name: bytes) -> Prepared | None:
        if len(name) <= _AS_IT_IS and name.isascii():  # as nearly every name is: it is its own key
            return self._expected.statements.get(name) if name else self._expected.unnamed_statement
        key = key_of(name, self.encoding)
        return None if key is None else self._expected.statement(key)

    def portal(self, name: bytes) -> Portal | None:
        key = key_of(name, self.encoding)
        return None if key is None else self._expected.portal(key)

    def described(self, target: DescribeTarget) -> Prepared | None:
        """The statement that a Describe is about."""
        if target.kind == "S":
            return self.statement(target.name)
        portal = self.portal(target.name)
        return None if portal is None else portal.prepared

    @property
    def full(self) -> bool:
        """There is no room for more names."""
        return len(self._expected) >= MOST or self._expected.size >= MOST_BYTES

    def unsettled(self, space: Space, name: bytes, segment: int) -> Unit | None:
        """The change of `name` under way in another segment, if any: if it fails, `segment` runs all the same.

        A change in the same segment settles the name: if it fails, what follows is passed over.
        """
        latest = self._last[space]
        one, every = latest.get(name and self.key(name)), latest.get(None)
        change = one if every is None or (one is not None and one[0] > every[0]) else every
        if change is None:
            return None
        last = change[1]
        return None if last.segment == segment or last.answered else last

    def expect(self, changes: Iterable[Change], by: Unit) -> None:
        """The request `by` was sent, and makes `changes` if it succeeds."""
        for change in changes:
            key = change.name and self.key(change.name)  # None and the unnamed one stay what they are
            self._expected.apply(change, key)
            self._count += 1
            latest = self._last[change.space]
            latest[key] = self._count, by
            if len(latest) > 2 * MOST:
                self._last[change.space] = {key: last for key, last in latest.items() if not last[1].answered}

    def expect_exchange(self, exchange: LoneExchange) -> None:
        """The exchange was sent: as `expect` does for the changes of its requests."""
        expected, statements, portals = self._expected, self._last["statement"], self._last["portal"]
        self._count += 1
        latest = self._count, exchange
        if (portal := exchange.portal) is not None:
            expected.unnamed_portal = portal
            portals[b""] = latest
            if exchange.parsed is not None:
                expected.unnamed_statement = exchange.parsed
                statements[b""] = latest
            return
        expected.unnamed_statement = expected.unnamed_portal = None
        statements[b""] = portals[b""] = latest

    def confirm_exchange(self, exchange: LoneExchange, *, transaction_over: bool) -> None:
        """The server has answered all of it."""
        confirmed = self._confirmed
        if exchange.portal is None or exchange.parsed is not None:
            confirmed.unnamed_statement = exchange.parsed
        confirmed.unnamed_portal = exchange.portal
        if transaction_over:
            confirmed.transaction_over(self._expected)

    def confirm(self, changes: Iterable[Change]) -> None:
        for change in changes:
            self._confirmed.apply(change, change.name and self.key(change.name))

    def fall_back(self, still_expected: Iterable[Change]) -> None:
        """After an error: the changes of the failed requests will not come, those of later requests may."""
        self._expected = self._confirmed.copy()
        for change in still_expected:
            self._expected.apply(change, change.name and self.key(change.name))

    def transaction_over(self) -> None:
        """The transaction is over, and its portals with it. Those WITH HOLD are left."""
        self._confirmed.transaction_over(self._expected)

    def clear(self) -> None:
        """The session is over: let go of everything."""
        self._confirmed, self._expected = NameView(), NameView()
        self._last = {"statement": {}, "portal": {}}

    @property
    def size(self) -> int:
        """About how many bytes the names hold."""
        return max(self._confirmed.size, self._expected.size)


class Trial:
    """The names as they are between the statements of one message, before the message is sent."""

    def __init__(self, names: PreparedStatements) -> None:
        self._names = names
        self._made: dict[tuple[Space, bytes], Prepared | Portal | None] = {}
        self._all: dict[Space, Change] = {}

    def statement(self, name: bytes) -> Prepared | None:
        value = self._find("statement", name)
        return value if isinstance(value, Prepared) else None

    def portal(self, name: bytes) -> Portal | None:
        value = self._find("portal", name)
        return value if isinstance(value, Portal) else None

    def settles(self, space: Space, name: bytes) -> bool:
        return space in self._all or (space, self._names.key(name)) in self._made

    def _find(self, space: Space, name: bytes) -> Prepared | Portal | None:
        key = space, self._names.key(name)
        if key in self._made:
            return self._made[key]
        known = self._names.statement(name) if space == "statement" else self._names.portal(name)
        change = self._all.get(space)
        if change is None or known is None:
            return known
        return replace(known, doubtful=True) if change.doubt else None

    def expect(self, changes: Iterable[Change]) -> None:
        for change in changes:
            if change.name is not None:
                self._made[change.space, self._names.key(change.name)] = change.value
                continue
            mine = [key for key in self._made if key[0] == change.space]
            for key in mine:
                made = self._made.pop(key)
                if change.doubt:
                    self._made[key] = None if made is None else replace(made, doubtful=True)
            dropped = self._all.get(change.space)
            if dropped is None or dropped.doubt:
                self._all[change.space] = change
