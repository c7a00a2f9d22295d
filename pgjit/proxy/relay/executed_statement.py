"""Finds the statement that runs in the end: EXECUTE, FETCH and MOVE run the one that their name stands for. Pure.

Decides which text the record has, which kind it is judged by, and what it does to the names. Refuses a statement
whose name stands for something that pgjit does not know. A name may stand for an EXECUTE or a FETCH in turn. A portal
that runs a statement by its name keeps that statement from its beginning on, whatever becomes of the name.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Protocol

from pgjit.audit.event import Parameters
from pgjit.audit.parameters import kept
from pgjit.judging.judge import Judgement
from pgjit.policy.decision import Violation
from pgjit.policy.kinds import WRITES
from pgjit.policy.rules.secret_setting import unshown_parameter
from pgjit.proxy.relay.named_values import (
    DOUBT,
    Change,
    ExecutedStatement,
    Portal,
    Prepared,
    Space,
    changes_of,
    readable,
)
from pgjit.proxy.relay.prepared_statements import PreparedStatements, Trial
from pgjit.proxy.relay.protocol_rules import (
    TOO_LONG_TOGETHER,
    doubtful_name,
    names_too_deep,
    not_in_explain,
    transaction_by_execute,
    uncertain_name,
    unknown_name,
)
from pgjit.proxy.relay.rejudging import Look
from pgjit.sql.encodings import is_certain_identifier
from pgjit.sql.statement import NameEffect, Statement
from pgwire.messages.extended import DescribeTarget

__all__ = [
    "Resolver", "Unresolvable", "Unsettled", "describes_endless", "makes_names", "resolve_message",
    "too_long_together",
]  # fmt: skip

_DEEPEST = 16
_MOST_BY_NAME = 1024 * 1024
_IN_EXPLAIN = WRITES | {"select"}
EXPRESSION = 2
"""The format of a parameter that an EXECUTE gives as an expression: only the server knows its value."""


class Unsettled(Exception):
    """What a name stands for depends on an answer that the server has yet to send."""


class Unresolvable(Exception):
    def __init__(self, violation: Violation) -> None:
        super().__init__(violation.message)
        self.violation = violation


class Known(Protocol):
    """The names as they are when the statement runs."""

    def statement(self, name: bytes) -> Prepared | None: ...

    def portal(self, name: bytes) -> Portal | None: ...


class Resolver:
    def __init__(
        self,
        known: Known,
        encoding: str,
        *,
        unrestricted: bool,
        settled: Callable[[Space, bytes], bool],
        index: int | None = None,
        again: Look = lambda prepared: prepared,
        opened: Look = lambda prepared: prepared,
    ) -> None:
        """`index`: the place of the statement in its message.

        `again` and `opened` return a prepared statement and that of an open cursor as they are judged now.
        """
        self._known = known
        self._encoding = encoding
        self._unrestricted = unrestricted
        self._settled = settled
        self._index = index
        self._again = again
        self._opened = opened
        self._depth = 0

    def run(self, prepared: Prepared, parameters: Parameters | None, prepared_as: str | None) -> ExecutedStatement:
        """Raises Unsettled and Unresolvable."""
        if prepared.doubtful and not self._unrestricted:
            raise Unresolvable(doubtful_name("prepared statement", prepared_as or "", "26000", self._index))
        executed = self._run(prepared, parameters, prepared_as)
        if prepared.doubtful:
            return _in_doubt(executed, f"prepared statement `{prepared_as or ''}` may have been changed")
        return executed

    def portal(self, name: bytes, portal: Portal, prepared_as: str | None) -> ExecutedStatement:
        """`portal` begins to run, or goes on."""
        if portal.doubtful and not self._unrestricted:
            raise Unresolvable(doubtful_name("portal", readable(name), "34000", self._index))
        executed = portal.began
        if executed is not None:
            itself = Prepared(
                executed.text, executed.statement, executed.unread, executed.observed, judge=portal.prepared.judge
            )
            if isinstance(found := self._opened(itself), Violation):
                raise Unresolvable(replace(found, statement=self._index))
            if found is not itself:
                executed = replace(executed, observed=found.observed)
        else:
            executed = self.run(portal.prepared, portal.parameters, prepared_as)
            if executed.through:
                began = replace(portal, began=replace(executed, changes=()))
                executed = replace(executed, changes=(*executed.changes, Change("portal", name, began)))
        if portal.doubtful:
            return _in_doubt(executed, f"portal `{readable(name)}` may have been changed")
        return executed

    def _run(self, prepared: Prepared, parameters: Parameters | None, prepared_as: str | None) -> ExecutedStatement:
        statement, text = prepared.statement, prepared.text
        itself = ExecutedStatement(
            text, statement.kind if statement else None, statement, parameters, prepared_as,
            observed=prepared.observed, unread=prepared.unread, changes=DOUBT if prepared.unread else (),
            unresolved=prepared.unresolved,
        )  # fmt: skip
        effect = None if statement is None else statement.effect
        if statement is not None and (violation := _unshown(statement, parameters)) is not None:
            return self._refuse(itself, violation)
        if statement is None or effect is None:
            return itself
        if effect.name is None:
            return replace(itself, changes=changes_of(statement, parameters, prepared.observed, prepared.judge))
        if not is_certain_identifier(effect.name, statement.beyond_ascii, self._encoding):
            return self._refuse(itself, uncertain_name(effect.name, self._encoding, self._index))
        if effect.verb not in ("execute", "fetch"):
            return replace(itself, changes=changes_of(statement, parameters, prepared.observed, prepared.judge))
        self._depth += 1
        if self._depth > _DEEPEST:
            # Under every policy: one that executes itself can only fail, and EXPLAIN of it takes the server's stack
            # and with it all sessions (seen with PostgreSQL 15).
            raise Unresolvable(names_too_deep(self._index))
        inner = self._execute(effect, effect.name) if effect.verb == "execute" else self._fetch(effect.name)
        if isinstance(inner, Violation):
            return self._refuse(itself, inner)
        if effect.around:
            inner = self._inside(statement, inner)
        observed = (*prepared.observed, *inner.observed)
        return replace(inner, through=(text, *inner.through), observed=observed)

    def _execute(self, effect: NameEffect, name: str) -> ExecutedStatement | Violation:
        self._wait("statement", name)
        prepared = self._known.statement(name.encode())
        if prepared is None:
            return unknown_name("prepared statement", name, "26000", self._index)
        if isinstance(found := self._again(prepared), Violation):
            return replace(found, statement=self._index)
        executed = self.run(found, _parameters(effect), name)
        if executed.kind == "transaction" and not executed.through:
            # Under every policy: a savepoint that comes so leaves a session that no cancel and no termination reaches
            # (seen with PostgreSQL 18).
            raise Unresolvable(transaction_by_execute(name, self._index))
        return executed

    def _fetch(self, name: str) -> ExecutedStatement | Violation:
        self._wait("portal", name)
        portal = self._known.portal(name.encode())
        if portal is None:
            return unknown_name("cursor", name, "34000", self._index)
        if isinstance(found := self._opened(portal.prepared), Violation):
            return replace(found, statement=self._index)
        return self.portal(name.encode(), portal.under(found), name)

    def _wait(self, space: Space, name: str) -> None:
        if not self._settled(space, name.encode()):
            raise Unsettled

    def _inside(self, statement: Statement, inner: ExecutedStatement) -> ExecutedStatement:
        """EXPLAIN changes no names, and does not explain a utility statement."""
        kind = inner.statement.kind if inner.statement else None
        if kind not in _IN_EXPLAIN and inner.unresolved is None and not self._unrestricted:
            raise Unresolvable(not_in_explain(kind or "nothing", statement))
        changes = DOUBT if inner.unresolved else ()
        return replace(inner, kind=statement.kind, changes=changes, inside=True)

    def _refuse(self, itself: ExecutedStatement, violation: Violation) -> ExecutedStatement:
        if not self._unrestricted:
            raise Unresolvable(violation)
        return _in_doubt(itself, violation.message)


def resolve_message(
    judgement: Judgement,
    names: PreparedStatements,
    unsettled: Callable[[Space, bytes], bool],
    *,
    unrestricted: bool,
    again: Look = lambda prepared: prepared,
    opened: Look = lambda prepared: prepared,
) -> list[ExecutedStatement]:
    """The execution of each statement of a Query, in order. Raises Unsettled and Unresolvable."""
    trial: Trial | None = None
    executions: list[ExecutedStatement] = []
    for statement in judgement.statements:
        observed = tuple(each for each in judgement.observed if each.statement in (None, statement.index))
        if statement.effect is None:  # most of them
            executions.append(ExecutedStatement(statement.text, statement.kind, statement, observed=observed))
            continue
        trial = trial or Trial(names)
        resolver = Resolver(
            trial, names.encoding, unrestricted=unrestricted, index=statement.index,
            settled=partial(_settled, trial, unsettled), again=again, opened=opened,
        )  # fmt: skip
        executed = resolver.run(
            Prepared(statement.text, statement, observed=observed, judge=judgement.judge_number), None, None
        )
        trial.expect(executed.changes)
        executions.append(executed)
    return executions


def _settled(trial: Trial, unsettled: Callable[[Space, bytes], bool], space: Space, name: bytes) -> bool:
    return trial.settles(space, name) or not unsettled(space, name)


def too_long_together(executed: Sequence[ExecutedStatement]) -> Violation | None:
    """A short EXECUTE may run a long text, and the record has the whole of it."""
    size = sum(len(each.text) for each in executed if each.through)
    return TOO_LONG_TOGETHER if len(executed) > 1 and size > _MOST_BY_NAME else None


def describes_endless(
    target: DescribeTarget, names: PreparedStatements, unsettled: Callable[[Space, bytes], bool]
) -> Violation | None:
    """Why a Describe is refused under every policy: a statement that executes itself uses up the server's stack.

    Raises Unsettled.
    """
    if unsettled("statement" if target.kind == "S" else "portal", target.name):
        raise Unsettled
    portal = names.portal(target.name) if target.kind == "P" else None
    prepared = portal.prepared if portal else names.statement(target.name) if target.kind == "S" else None
    if prepared is None or prepared.statement is None or prepared.statement.effect is None:
        return None
    resolver = Resolver(names, names.encoding, unrestricted=True, settled=lambda *name: not unsettled(*name))
    try:
        resolver.run(prepared, None, None)
    except Unresolvable as refused:
        return refused.violation
    return None


def makes_names(executed: ExecutedStatement) -> bool:
    effect = None if executed.statement is None else executed.statement.effect
    return effect is not None and effect.verb in ("prepare", "declare") and not executed.inside


def _in_doubt(executed: ExecutedStatement, why: str) -> ExecutedStatement:
    """Under `access: full`: it runs, although it may be something else."""
    return replace(executed, unresolved=executed.unresolved or why, unread=True, changes=(*executed.changes, *DOUBT))


def _parameters(effect: NameEffect) -> Parameters | None:
    if not effect.arguments:
        return None
    values = tuple(None if each.text is None else each.text.encode() for each in effect.arguments)
    formats = tuple(0 if each.constant else EXPRESSION for each in effect.arguments)
    return kept(Parameters(values=values, formats=formats))


def _unshown(statement: Statement, parameters: Parameters | None) -> Violation | None:
    if not statement.shown_settings:
        return None
    parameters = parameters or Parameters(values=(), formats=())
    # The list has no name for an expression, or for a value that is not kept in full.
    whole = parameters.values if parameters.length is None else (*parameters.values[:-1], b"?")
    expressed = EXPRESSION in parameters.formats
    return unshown_parameter(statement, [b"?"] * len(whole) if expressed else whole)
