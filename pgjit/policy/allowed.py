"""What a policy allows, for people and programs to read: kinds of statements, relations, limits, terms of the window.

`SHOW pgjit.allowed`, the API's `access`, `pgjit access` and `pgjit policy explain` show it. Pure. It decides nothing:
the rules judge each statement, and a statement of an allowed kind may still use a function that no entry opens.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal, NamedTuple

from pgjit.policy.durations import duration_text
from pgjit.policy.kinds import KINDS, SEEN, WRITES, addable_kinds, preset_kinds
from pgjit.policy.match import find_entries_on_relations, find_permission_for_kind
from pgjit.policy.pattern import Patterns
from pgjit.policy.policy import Limits, Mode, Policy, Preset, StatementTerms
from pgjit.policy.selector import Selector

__all__ = [
    "Allowed",
    "AllowedLine",
    "AllowedRelations",
    "NamedObjects",
    "ObjectNames",
    "allowed_by",
    "limits_of",
    "lines_of",
    "window_terms_of",
    "words_for",
]  # fmt: skip

ObjectNames = Literal["relations", "columns", "schemas", "functions", "types", "settings", "operators", "extensions"]
_SORTS: tuple[ObjectNames, ...] = (
    "relations", "columns", "schemas", "functions", "types", "settings", "operators", "extensions",
)  # fmt: skip
_FIRST = ("select", "insert", "update", "delete", "merge")  # the kinds that people look for
_OF_RELATIONS = ("relations", "columns", "schemas")


class AllowedLine(NamedTuple):
    """One line of text: `limits`, `rows 1000`."""

    topic: str
    text: str


@dataclass(frozen=True, slots=True)
class NamedObjects:
    """Objects that entries of `allow` or `deny` name, as the policy writes them. Excluded names begin with `!`."""

    sort: ObjectNames
    names: tuple[str, ...]
    kinds: tuple[str, ...] = ()  # none: in statements of every kind


@dataclass(frozen=True, slots=True)
class AllowedRelations:
    """The relations that statements of some kinds may use."""

    kinds: tuple[str, ...]  # `select` stands for everything that reads
    names: tuple[str, ...] | None  # None: every relation that is not denied


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowed:
    """What a policy allows."""

    access: Preset
    observes: bool  # refused statements run, but for those that the preset refuses
    kinds: tuple[str, ...]  # for some relations at least. Empty under `full`: of every kind
    relations: tuple[AllowedRelations, ...]
    opened: tuple[NamedObjects, ...]  # functions, types and other objects beyond the preset
    kinds_denied: tuple[str, ...]
    denied: tuple[NamedObjects, ...]
    limits: tuple[AllowedLine, ...]
    window: tuple[AllowedLine, ...]

    def denied_names(self, *sorts: ObjectNames) -> tuple[str, ...]:
        """The names of some sorts that are denied to statements of every kind, or of some."""
        return tuple(dict.fromkeys(name for each in self.denied if each.sort in sorts for name in each.names))


def allowed_by(policy: Policy) -> Allowed:
    terms = policy.statements
    every = terms.access is Preset.FULL
    kinds_denied = _denied_kinds(terms)
    kinds = frozenset() if every else _kinds(terms, kinds_denied)
    relations = () if every else tuple(_relations(terms, kinds))
    idle = _judged_by_relation(terms).difference(
        *(each.kinds for each in relations)
    )  # kinds that no relation is open to
    return Allowed(
        access=terms.access,
        observes=policy.mode is Mode.OBSERVE,
        kinds=tuple(sorted(kinds - idle)),
        relations=relations,
        opened=tuple(each for each in _named(terms.allow) if each.sort not in _OF_RELATIONS),
        kinds_denied=tuple(sorted(kinds_denied)),
        denied=tuple(_named(terms.deny)),
        limits=limits_of(policy.limits),
        window=window_terms_of(policy),
    )


def _denied_kinds(terms: StatementTerms) -> frozenset[str]:
    return frozenset(kind for each in terms.deny if each.kinds and not each.names_objects for kind in each.kinds)


def _kinds(terms: StatementTerms, denied: frozenset[str]) -> frozenset[str]:
    known = preset_kinds(terms.access) | addable_kinds(terms.access)
    return frozenset(kind for kind in known - denied if find_permission_for_kind(terms, kind) is not None)


def _judged_by_relation(terms: StatementTerms) -> frozenset[str]:
    """Kinds that are of use only with a relation. MERGE is judged by what it inserts, updates and deletes."""
    return (WRITES - {"merge"}) | (SEEN & addable_kinds(terms.access))


def _relations(terms: StatementTerms, kinds: frozenset[str]) -> Iterator[AllowedRelations]:
    """Kinds with the same relations stand together, reading first."""
    found: dict[tuple[str, ...] | None, list[str]] = {}
    for kind in ["select", *sorted(kinds & _judged_by_relation(terms), key=_place)]:
        entries = find_entries_on_relations(terms, kind) if kind in kinds else []
        names = None if entries is None else _names(entries, _OF_RELATIONS)
        if names is None or names:
            found.setdefault(names, []).append(kind)
    for names, together in found.items():
        yield AllowedRelations(tuple(together), names)


def _names(entries: Iterable[Selector], sorts: Iterable[str]) -> tuple[str, ...]:
    return tuple(
        dict.fromkeys(name for each in entries for sort in sorts for name in _texts(sort, getattr(each, sort)))
    )


def _texts(sort: str, names: Patterns | frozenset[str] | None) -> tuple[str, ...]:
    if not isinstance(names, Patterns):
        return tuple(sorted(names or ()))
    texts = (*(each.text for each in names.included), *(f"!{each.text}" for each in names.excluded))
    return tuple(f"{text}.*" for text in texts) if sort == "schemas" else texts


def _named(entries: Iterable[Selector]) -> Iterator[NamedObjects]:
    """Entries of one sort and the same kinds become one."""
    found: dict[tuple[ObjectNames, tuple[str, ...]], list[str]] = {}
    for each in entries:
        kinds = tuple(sorted(each.kinds or ()))
        for sort in _SORTS:
            if names := _names([each], [sort]):
                found.setdefault((sort, kinds), []).extend(names)
    for (sort, kinds), texts in found.items():
        yield NamedObjects(sort, tuple(dict.fromkeys(texts)), kinds)


# --- limits, and the terms of a window -----------------------------------------------------------------


def limits_of(limits: Limits) -> tuple[AllowedLine, ...]:
    """Those that the policy sets, by their names in the policy."""
    counts = ("rows", "bytes", "window_rows", "window_bytes", "window_statements", "sessions")
    found = [AllowedLine(name, str(value)) for name in counts if (value := getattr(limits, name)) is not None]
    for name in ("statement_time", "idle_in_transaction"):
        length = getattr(limits, name)
        if length is not None:
            found.append(AllowedLine(name, duration_text(length)))
    return tuple(found)


def window_terms_of(policy: Policy) -> tuple[AllowedLine, ...]:
    """How a window opens and how long it lasts, by the keys of the policy."""
    terms, review = policy.terms, policy.terms.review
    lines = [
        AllowedLine("grant", "break-glass" if terms.break_glass else policy.grant.value),
        AllowedLine("ttl", duration_text(policy.ttl)),
        AllowedLine("cooldown", duration_text(policy.cooldown)),
    ]
    if review is not None:
        text = ", ".join([*review.group_texts, *(f"role {role}" for role in review.roles)])
        lines.append(AllowedLine("sign-off" if terms.break_glass else "review", text))
        if not terms.break_glass:
            lines.append(AllowedLine("approvals", str(review.approvals)))
    if policy.grant.value == "review":
        lines.append(AllowedLine("lapse_after", duration_text(terms.lapse_after)))
        lines.append(AllowedLine("open_within", duration_text(terms.open_within)))
    if terms.schedule is not None:
        lines.append(AllowedLine("schedule", str(terms.schedule)))
    if terms.max_per_day is not None:
        lines.append(AllowedLine("max_per_day", str(terms.max_per_day)))
    if terms.reason.required:
        lines.append(AllowedLine("reason", "required"))
    return tuple(lines)


# --- as text -------------------------------------------------------------------------------------------


def lines_of(allowed: Allowed) -> tuple[AllowedLine, ...]:
    """What the policy allows and denies, a line for each topic, without the terms of the window."""
    return tuple(_lines(allowed))


def _lines(allowed: Allowed) -> Iterator[AllowedLine]:
    every = allowed.access is Preset.FULL
    yield AllowedLine("statements", "all" if every else ", ".join(words_for(allowed.kinds)))
    if every:
        yield AllowedLine("relations", "all that the login role may use")
    for each in allowed.relations:
        names = "all that are not denied" if each.names is None and _denies_relations(allowed) else "all"
        reading = each.kinds == ("select",) and len(allowed.relations) == 1
        kinds = "" if reading else f"{', '.join(words_for(each.kinds))}: "
        yield AllowedLine("relations", kinds + (names if each.names is None else ", ".join(each.names)))
    for opened in allowed.opened:
        yield AllowedLine(opened.sort, _with_kinds(opened))
    if allowed.kinds_denied:
        yield AllowedLine("statements denied", ", ".join(words_for(allowed.kinds_denied)))
    for denied in allowed.denied:
        yield AllowedLine(f"{denied.sort} denied", _with_kinds(denied))
    if allowed.limits:
        yield AllowedLine("limits", ", ".join(f"{name} {value}" for name, value in allowed.limits))
    if allowed.observes:
        yield AllowedLine("mode", "observe: what the entries refuse runs and is recorded")


def _denies_relations(allowed: Allowed) -> bool:
    return any(each.sort in _OF_RELATIONS for each in allowed.denied)


def _with_kinds(named: NamedObjects) -> str:
    return (f"{', '.join(words_for(named.kinds))}: " if named.kinds else "") + ", ".join(named.names)


def words_for(kinds: Iterable[str]) -> tuple[str, ...]:
    """The fewest words of the policy language that mean these kinds: `cursor` for declare, fetch and close."""
    left, words = set(kinds), []
    for word, meant in sorted(KINDS.items(), key=lambda each: -len(each[1])):
        if len(meant) > 1 and meant <= left:
            words.append(word)
            left -= meant
    return tuple(sorted([*words, *left], key=_place))


def _place(word: str) -> tuple[int, str]:
    return (_FIRST.index(word) if word in _FIRST else len(_FIRST), word)
