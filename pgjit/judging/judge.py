"""Text to judgement: may this message run under this policy. Pure, except for the cache of judgements.

Decides what happens to text that cannot be judged (too large, not UTF-8, a zero byte, a syntax error, an internal
error): it is refused, unless the policy gives `full` access. The policy decides which statements are allowed.

`Judge` caches judgements of short texts by their exact bytes, and by their shape where no constant decided
(`shape_cache.py`), for one policy and one catalog.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from itertools import count

from pgjit.errors import PgjitError
from pgjit.judging.judgement import Judgement, without_facts
from pgjit.judging.redacted_text import redacted_summary
from pgjit.judging.shape_cache import ShapeCache
from pgjit.policy.decision import Allow, Violation
from pgjit.policy.dialects import syntax_hint
from pgjit.policy.evaluate import evaluate, parameter_types
from pgjit.policy.passages import Passages
from pgjit.policy.policy import Mode, Policy, Preset
from pgjit.sql.catalog import Catalog
from pgjit.sql.constants import TextShape
from pgjit.sql.parse import read_message
from pgjit.sql.referenced import ReferencedObjects
from pgjit.sql.resolve.object_collector import StepBudget
from pgjit.sql.statement import Message, Statement, StatementSummary
from pgjit.sql.summary import summary_of
from pgjit.sql.withheld import ConstantRead

__all__ = ["STATEMENT_BYTES", "Judge", "Judgement", "assess", "is_short", "next_number", "unjudged"]

STATEMENT_BYTES = 2 * 1024 * 1024
"""Default limit on the text of one message."""

_SHORT = 4 * 1024
_SHORT_TOKENS = 64
_SHORT_STEPS = 400
"""Limits for judging on the event loop, so that it takes less than two milliseconds: bytes, tokens, and steps of name
resolution in the catalog. Measured: about 15 microseconds a token, 5 a step."""

_TOKEN = re.compile(rb"\w+|[^\w\s]")

MOST_STATEMENTS = 100
"""Limit on the statements of one message, each of which has its own records. Under `access: full` a longer message
has one record for all."""

_CACHED_BYTES = 4 * 1024
_CACHED_STATEMENTS = 8
"""Larger texts are not cached: the memory would cost more than judging them again."""

_SHOW_PGJIT = re.compile(rb"\s*show\s+pgjit\s*\.\s*(\w{1,32})\s*(?:;\s*)?\Z", re.IGNORECASE | re.ASCII)


def assess(
    policy: Policy,
    sql: bytes,
    limit: int,
    catalog: Catalog | None = None,
    *,
    steps: StepBudget | None = None,
    passages: Passages | None = None,
    shape: TextShape | None = None,
) -> Judgement:
    """Judge the text of one Query or Parse message, its names resolved with `catalog`. Never raises.

    With its `shape` it is judged with the constants withheld, where that can be: the judgement has `constants_read`.

    `steps` limits the name resolution. If none are left afterwards, the judgement is incomplete.
    `passages` collects what an explanation needs. A live judgement has none.
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
    if show := _SHOW_PGJIT.match(sql):
        return Judgement(text, (), (), show[1].decode().lower())
    if full:
        return _read(policy, text)
    steps = steps or StepBudget()
    if shape is not None and policy.redaction is None:  # what is redacted depends on the constants
        with suppress(ConstantRead):
            return _judge_text(policy, text, catalog, steps, passages, shape)
    return _judge_text(policy, text, catalog, steps, passages)


def unjudged(policy: Policy, sql: bytes, violation: Violation) -> Judgement:
    """The judgement of text that cannot be judged: refused, unless the policy gives `full` access."""
    if policy.statements.access is Preset.FULL:
        return _unread(sql)
    return _refused(sql.decode("utf-8", "backslashreplace"), violation)


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


def _read(policy: Policy, text: str) -> Judgement:
    """Under `access: full`: parse the text if possible, so that the record shows the statements."""
    try:
        statements = read_message(text, most=MOST_STATEMENTS).statements
        return Judgement(text, _summarised(policy, statements, {}, None), ())
    except Exception:  # noqa: BLE001 - the server reports the syntax error
        return Judgement(text, (), (), unread=True)


def _judge_text(
    policy: Policy,
    text: str,
    catalog: Catalog | None,
    steps: StepBudget,
    passages: Passages | None,
    shape: TextShape | None = None,
) -> Judgement:
    """With a shape: raises ConstantRead if the decision depends on a constant."""
    try:
        message = read_message(text, most=MOST_STATEMENTS, shape=shape)
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
    except Exception as fault:
        if shape is not None:
            raise ConstantRead from fault  # perhaps because of a constant that was withheld
        return _refused(text, _unjudgeable(fault))
    try:
        return _decide(policy, text, message, catalog, steps, passages)
    except Exception as fault:
        if shape is not None:
            raise ConstantRead from fault
        return _refused(text, _unjudgeable(fault), message.statements)


def _decide(
    policy: Policy, text: str, message: Message, catalog: Catalog | None, steps: StepBudget, passages: Passages | None
) -> Judgement:
    step_limit = steps.left
    resolved: dict[int, ReferencedObjects | None] = {}
    decision = evaluate(policy, message, catalog, steps=steps, passages=passages, resolved=resolved)
    refusing: tuple[Violation, ...] = ()
    if policy.mode is Mode.OBSERVE and not isinstance(decision, Allow):
        preset_steps = StepBudget(step_limit)
        refusing = _preset_violations(policy, message, catalog, preset_steps)
        steps.left = min(steps.left, preset_steps.left)
    types = parameter_types(policy, message, catalog) if isinstance(decision, Allow) else frozenset[int]()
    message.give_texts()
    statements = _summarised(policy, message.statements, resolved, catalog)
    if isinstance(decision, Allow):
        return Judgement(text, statements, (), parameter_types=types, constants_read=message.constants_read)
    violations = decision.violations
    if policy.mode is Mode.OBSERVE:
        if not refusing:
            return Judgement(text, statements, (), observed=violations)
        # The client receives the first violation: it must be one that refuses, not one that is only observed.
        violations = (*refusing, *(each for each in violations if each not in refusing))
    return Judgement(text, statements, violations)


def _summarised(
    policy: Policy,
    statements: tuple[Statement, ...],
    resolved: Mapping[int, ReferencedObjects | None],
    catalog: Catalog | None,
) -> tuple[Statement, ...]:
    """With what their records have of them, made once: a judgement is cached."""
    masks, redaction = policy.record == "statements", policy.redaction

    def summary(each: Statement) -> StatementSummary:
        referenced = resolved.get(each.index)
        if redaction is None:
            return summary_of(each, referenced, masks=masks)
        return redacted_summary(each, referenced, redaction, catalog, masks=masks)

    for each in statements:
        each.summary = summary(each)
    return statements


def _preset_violations(
    policy: Policy, message: Message, catalog: Catalog | None, steps: StepBudget
) -> tuple[Violation, ...]:
    """The violations of the preset alone, which `mode: observe` still enforces."""
    preset_only = replace(policy, statements=policy.statements.preset)
    decision = evaluate(preset_only, message, catalog, steps=steps)
    return () if isinstance(decision, Allow) else decision.violations


def _unjudgeable(fault: Exception) -> Violation:
    return Violation(
        rule="unjudgeable",
        message="statement could not be judged",
        detail=f"Judging it failed inside the proxy ({type(fault).__name__}); what is not judged is not run.",
        hint="Send a simpler statement, and report this to the operators of this proxy.",
    )


def _refused(text: str, violation: Violation, statements: tuple[Statement, ...] = ()) -> Judgement:
    return Judgement(text, statements, (violation,))


def is_short(sql: bytes) -> bool:
    """Whether parsing is fast enough for the event loop. Name resolution has its own limit."""
    return len(sql) <= _SHORT_TOKENS or (len(sql) <= _SHORT and len(_TOKEN.findall(sql)) <= _SHORT_TOKENS)


_NUMBERS = count(1)


def next_number() -> int:
    """Higher than the number of every judge that there is, lower than those of the judges to come."""
    return next(_NUMBERS)


class Judge:
    """`assess` under one policy with one catalog, with a cache by the exact bytes of the text, and one by its shape.

    No key is a fingerprint, because constants matter (`set_config`, `SET`).
    """

    def __init__(self, policy: Policy, *, limit: int, catalog: Catalog | None = None, cache_size: int = 2048) -> None:
        self.policy = policy
        self.catalog = catalog
        self.limit = limit
        self._cache_size = cache_size
        self.number = next_number()  # unique, so that judgements by an older catalog or policy are recognized
        self._cache: OrderedDict[bytes, Judgement] = OrderedDict()
        by_shape = policy.statements.access is not Preset.FULL and policy.redaction is None
        self._shapes = ShapeCache() if by_shape else None
        self.remembered = 0  # judgements found by the shape of their text

    def __call__(self, sql: bytes) -> Judgement:
        """Judge without a time limit."""
        if (cached := self._cached(sql)) is not None:
            return cached
        shape = self._wanted_shape(sql)
        return self.cache(sql, without_facts(assess(self.policy, sql, self.limit, self.catalog, shape=shape)))

    def judge_inline(self, sql: bytes) -> Judgement | None:
        """Judge on the event loop. None if that may take too long: the text goes to a judge worker then."""
        if (cached := self._cached(sql)) is not None:
            return cached
        if len(sql) > self.limit:  # refused by its size alone
            return replace(assess(self.policy, sql, self.limit), judge_number=self.number)
        if not is_short(sql):
            return None
        steps = StepBudget(_SHORT_STEPS)
        shape = self._wanted_shape(sql)
        judgement = assess(self.policy, sql, self.limit, self.catalog, steps=steps, shape=shape)
        return None if steps.left < 0 else self.cache(sql, without_facts(judgement))

    def _cached(self, sql: bytes) -> Judgement | None:
        judgement = self._cache.get(sql)
        if judgement is not None:
            self._cache.move_to_end(sql)
            return judgement
        if self._shapes is None or len(sql) > self.limit:
            return None
        judgement = self._shapes.find(sql)
        self.remembered += judgement is not None
        return judgement

    def _wanted_shape(self, sql: bytes) -> TextShape | None:
        return None if self._shapes is None else self._shapes.wanted(sql)

    def cache(self, sql: bytes, judgement: Judgement) -> Judgement:
        """Cache a judgement by this policy and this catalog; also one that a judge worker made."""
        judgement.judge_number = self.number
        if len(sql) <= _CACHED_BYTES and len(judgement.statements) <= _CACHED_STATEMENTS:
            self._cache[sql] = judgement
            if len(self._cache) > self._cache_size:
                self._cache.popitem(last=False)
        if self._shapes is not None:
            self._shapes.add(sql, judgement)
        return judgement
