"""Text to judgement: may this message run under this policy. Pure but for its memory of earlier answers.

Decides what happens to text that cannot be judged at all (too large, not UTF-8, a zero byte, does not parse,
a fault of our own): it is refused, unless the policy gives `full` access. Which statements are allowed is the
policy's.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from dataclasses import dataclass, replace
from itertools import count

from pgjit.errors import PgjitError
from pgjit.policy.decision import Allow, Violation
from pgjit.policy.dialects import syntax_hint
from pgjit.policy.evaluate import evaluate, parameter_types
from pgjit.policy.policy import Mode, Policy, Preset
from pgjit.sql.catalog import Catalog
from pgjit.sql.parse import read_message
from pgjit.sql.resolve.object_collector import StepBudget
from pgjit.sql.scopes.scopes import Scopes
from pgjit.sql.shape.shape import SHAPELESS
from pgjit.sql.statement import Message, Statement

__all__ = ["STATEMENT_BYTES", "Judge", "Judgement", "assess", "is_short", "unjudged", "without_facts"]

STATEMENT_BYTES = 2 * 1024 * 1024
"""The most text of one message that is judged, unless the configuration says otherwise."""

_SHORT = 4 * 1024
_SHORT_TOKENS = 64
_FEW_STEPS = 400
"""What may be judged on the event loop, so that it takes less than two milliseconds: bytes of text, words and signs
in it, and steps that its names lead through the catalog. It was measured: some 15 microseconds a token, 5 a step."""

_TOKEN = re.compile(rb"\w+|[^\w\s]")

MOST_STATEMENTS = 100
"""Statements of one message: each has records of its own. A longer one under `access: full` has one for all."""

_CACHED_BYTES = 4 * 1024
_CACHED_STATEMENTS = 8
"""What is larger costs more memory to remember than time to judge again."""

_UNKNOWN = frozenset({"3F000", "42P01", "42703", "42704", "42883"})
"""SQLSTATEs by which `unresolved-name` tells what is not in the catalog."""

_ABOUT = re.compile(rb"\s*show\s+pgjit\s*\.\s*(\w{1,32})\s*(?:;\s*)?\Z", re.IGNORECASE | re.ASCII)


@dataclass(frozen=True, slots=True)
class Judgement:
    text: str
    statements: tuple[Statement, ...]
    violations: tuple[Violation, ...]  # empty: it may run
    pgjit_setting: str | None = None  # `window` for `SHOW pgjit.window`: answered by pgjit's own words
    observed: tuple[Violation, ...] = ()  # what would have refused it, were the policy enforced
    parameter_types: frozenset[int] = frozenset()  # that a Parse may name beside the built-in ones
    unread: bool = False  # it may run although it was not parsed: under `access: full` alone
    judge_number: int = 0  # the number of who judged it

    @property
    def allowed(self) -> bool:
        return not self.violations

    @property
    def has_unknown_name(self) -> bool:
        """It is refused, and a name in it is not in the catalog: one that is read now may have it."""
        return any(found.rule == "unresolved-name" and found.sqlstate in _UNKNOWN for found in self.violations)


def assess(
    policy: Policy, sql: bytes, limit: int, catalog: Catalog | None = None, *, steps: StepBudget | None = None
) -> Judgement:
    """Judge the text of one Query or Parse message, its names resolved with `catalog`. Never raises.

    `steps`: how far its names may lead; where nothing is left afterwards, the judgement is of what had been found.
    """
    full = policy.statements.access is Preset.FULL
    if len(sql) > limit:
        return unjudged(policy, sql, _too_large(len(sql), limit))
    try:
        text = sql.decode("utf-8")
    except UnicodeDecodeError as fault:
        if full:
            return _unread(sql)
        return _refused(
            sql.decode("utf-8", "backslashreplace"),
            Violation(
                rule="invalid-encoding",
                message="statement is not valid UTF-8",
                detail=f"The byte at offset {fault.start} does not belong there.",
                hint="Set client_encoding to UTF8 in the client.",
                sqlstate="22021",
            ),
        )
    if about := _ABOUT.match(sql):
        return Judgement(text, (), (), about[1].decode().lower())
    return _read(text) if full else _judge_text(policy, text, catalog, steps or StepBudget())


def unjudged(policy: Policy, sql: bytes, why: Violation) -> Judgement:
    """What becomes of text that cannot be judged: it is refused, unless the policy judges nothing."""
    if policy.statements.access is Preset.FULL:
        return _unread(sql)
    return _refused(sql.decode("utf-8", "backslashreplace"), why)


def _unread(sql: bytes) -> Judgement:
    return Judgement(sql.decode("utf-8", "backslashreplace"), (), (), unread=True)


def _too_large(size: int, limit: int) -> Violation:
    return Violation(
        rule="statement-too-large",
        message=f"statement of {size} bytes is too large",
        detail=f"This proxy judges statements of at most {limit} bytes (`limits.statement_bytes`).",
        hint="Send values as parameters, many rows by COPY, or ask the operators of this proxy for a higher limit.",
        sqlstate="54000",
    )


def _read(text: str) -> Judgement:
    """Under `access: full`: parsed where possible, so that the record tells what it was."""
    try:
        return Judgement(text, read_message(text, most=MOST_STATEMENTS).statements, ())
    except Exception:  # noqa: BLE001 - what does not parse here is the server's to refuse
        return Judgement(text, (), (), unread=True)


def _judge_text(policy: Policy, text: str, catalog: Catalog | None, steps: StepBudget) -> Judgement:
    try:
        message = read_message(text, most=MOST_STATEMENTS)
    except PgjitError as fault:
        fields = fault.fields()
        return _refused(
            text,
            Violation(
                rule=fault.reference,
                message=fault.message,
                detail=fault.detail,
                hint=(fault.reference == "syntax-error" and syntax_hint(text)) or fault.hint,
                position=fault.position,
                sqlstate=fields["C"],
            ),
        )
    except Exception as fault:  # noqa: BLE001 - INVARIANT: what cannot be judged is refused, whatever the reason
        return _refused(text, _unjudgeable(fault))
    try:
        return _decide(policy, text, message, catalog, steps)
    except Exception as fault:  # noqa: BLE001 - as above
        return _refused(text, _unjudgeable(fault), message.statements)


def _decide(policy: Policy, text: str, message: Message, catalog: Catalog | None, steps: StepBudget) -> Judgement:
    most = steps.left
    decision = evaluate(policy, message, catalog, steps=steps)
    if isinstance(decision, Allow):
        return Judgement(text, message.statements, (), parameter_types=parameter_types(policy, message, catalog))
    violations = decision.violations
    if policy.mode is Mode.OBSERVE:
        again = StepBudget(most)
        refusing = _beyond_preset(policy, message, catalog, again)
        steps.left = min(steps.left, again.left)
        if not refusing:
            return Judgement(text, message.statements, (), observed=violations)
        # The client reads the first one: it has to be one that refuses, and not one that would have.
        violations = (*refusing, *(found for found in violations if found not in refusing))
    return Judgement(text, message.statements, violations)


def _beyond_preset(
    policy: Policy, message: Message, catalog: Catalog | None, steps: StepBudget
) -> tuple[Violation, ...]:
    """What the preset alone would refuse: under `mode: observe` no less than that is enforced."""
    alone = replace(policy, statements=policy.statements.preset)
    decision = evaluate(alone, message, catalog, steps=steps)
    return () if isinstance(decision, Allow) else decision.violations


def _unjudgeable(fault: Exception) -> Violation:
    return Violation(
        rule="unjudgeable",
        message="statement could not be judged",
        detail=f"Judging it failed inside the proxy ({type(fault).__name__}); what is not judged is not run.",
        hint="Send a simpler statement, and tell the operators of this proxy.",
    )


def _refused(text: str, violation: Violation, statements: tuple[Statement, ...] = ()) -> Judgement:
    return Judgement(text, statements, (violation,))


def is_short(sql: bytes) -> bool:
    """Whether it is read soon enough for the event loop. What its names lead to is another matter."""
    return len(sql) <= _SHORT_TOKENS or (len(sql) <= _SHORT and len(_TOKEN.findall(sql)) <= _SHORT_TOKENS)


_NOTHING = Scopes()
_NUMBERS = count(1)


def without_facts(judgement: Judgement) -> Judgement:
    """Without the facts that only judging needs: it is kept, and handed from one process to another."""
    statements = tuple(
        replace(one, scopes=_NOTHING, shape=SHAPELESS, columns=frozenset(), attributes=())
        for one in judgement.statements
    )
    return replace(judgement, statements=statements)


class Judge:
    """`assess` under one policy with one catalog, remembering answers by the exact bytes.

    The key is the text and not its shape: constants decide (`set_config`, `SET`).
    """

    def __init__(self, policy: Policy, *, limit: int, catalog: Catalog | None = None, remember: int = 2048) -> None:
        self.policy = policy
        self.catalog = catalog
        self.limit = limit
        self._remember = remember
        self.number = next(_NUMBERS)  # tells it from every other one, of an older catalog as well
        self._answers: OrderedDict[bytes, Judgement] = OrderedDict()

    def __call__(self, sql: bytes) -> Judgement:
        """However long it takes."""
        return self._known(sql) or self.cache(sql, without_facts(assess(self.policy, sql, self.limit, self.catalog)))

    def judge_inline(self, sql: bytes) -> Judgement | None:
        """On the event loop; None where it may take too long for that, and has to be judged elsewhere."""
        if (known := self._known(sql)) is not None:
            return known
        if len(sql) > self.limit:  # its size decides
            return replace(assess(self.policy, sql, self.limit), judge_number=self.number)
        if not is_short(sql):
            return None
        steps = StepBudget(_FEW_STEPS)
        answer = assess(self.policy, sql, self.limit, self.catalog, steps=steps)
        return None if steps.left < 0 else self.cache(sql, without_facts(answer))

    def _known(self, sql: bytes) -> Judgement | None:
        answer = self._answers.get(sql)
        if answer is not None:
            self._answers.move_to_end(sql)
        return answer

    def cache(self, sql: bytes, answer: Judgement) -> Judgement:
        """An answer that was found elsewhere, with this policy and this catalog."""
        answer = replace(answer, judge_number=self.number)
        if len(sql) <= _CACHED_BYTES and len(answer.statements) <= _CACHED_STATEMENTS:
            self._answers[sql] = answer
            if len(self._answers) > self._remember:
                self._answers.popitem(last=False)
        return answer
