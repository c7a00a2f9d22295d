"""Faults of policies whose keys and values are valid: entries that cannot be allowed, or that have no effect.

A fault prevents the start. A warning is for people to read.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from pydantic import ValidationError

from pgjit.document import Document
from pgjit.policy.barred import barred
from pgjit.policy.grant_warnings import grant_warnings
from pgjit.policy.kinds import CALLING, SEEN, UNREAD, WRITES, addable_kinds, preset_kinds, words_of
from pgjit.policy.language import SelectorEntry, StatementSection
from pgjit.policy.match import find_permission_for_kind
from pgjit.policy.pattern import Patterns, parse_pattern
from pgjit.policy.policy import Policy, Preset, StatementTerms
from pgjit.policy.record_warnings import record_warnings
from pgjit.policy.rules import RULES
from pgjit.policy.selector import Selector

__all__ = ["STANDING", "conflicts", "entry_faults", "entry_faults_as_far_as_read", "warnings"]

STANDING = timedelta(hours=8)
"""A window longer than this is standing access in all but name."""

Where = tuple[int | str, ...]
_OBJECTS = ("relations", "columns", "schemas", "functions", "types", "settings")


def entry_faults(section: StatementSection) -> Iterator[tuple[Where, str]]:
    """What `allow`, `deny` and `rules` cannot express under their preset, each with its key."""
    for index, entry in enumerate(section.allow):
        where: Where = ("statements", "allow", index)
        for key, text in (*_impossible(entry, section.access), *_uncertain(entry)):
            yield (*where, key), text
    for index, entry in enumerate(section.deny):
        if entry.extensions:
            yield (
                ("statements", "deny", index, "extensions"),
                "opens what is closed without it: name the functions that are denied",
            )
    given: set[str] = section.rules.model_fields_set if section.rules is not None else set()
    for field in sorted(given):
        name = field.replace("_", "-")
        options = getattr(section.rules, field)
        if options is not None and not options.enabled and not RULES[name].switch:
            yield ("statements", "rules", name), "cannot be switched off: name what is needed under `allow`"


def entry_faults_as_far_as_read(document: Document) -> Iterator[tuple[Where, str]]:
    """The same for a file with other faults, as far as single entries can be read.

    So all faults of an entry are reported at once.
    """
    try:
        access = Preset(str(document.written(("statements", "access")) or Preset.READ_ONLY))
    except ValueError:
        return
    allow = document.written(("statements", "allow"))
    for index, raw in enumerate(allow if isinstance(allow, list) else ()):
        if not isinstance(raw, dict):
            continue
        for key, text in _of_readable_part(raw, access):
            yield ("statements", "allow", index, key), text


def _of_readable_part(raw: dict[str, object], access: Preset) -> Iterator[tuple[str, str]]:
    readable = {}
    for key, value in raw.items():
        try:
            SelectorEntry.model_validate({key: value})
        except ValidationError:
            continue
        readable[key] = value
    try:
        entry = SelectorEntry.model_validate(readable)
    except ValidationError:
        return  # it cannot be read, or names two sorts of objects: that is reported elsewhere
    yield from _impossible(entry, access)
    yield from _uncertain(entry)


def _impossible(entry: SelectorEntry, access: Preset) -> Iterator[tuple[str, str]]:
    preset, possible = preset_kinds(access), preset_kinds(access) | addable_kinds(access)
    sorts = entry.model_fields_set - {"kinds"}
    for word in entry.kinds or ():
        kinds = words_of([word])
        if kinds <= WRITES and not kinds <= possible:
            yield "kinds", f"`{word}` writes: it needs `access: read-write`"
        elif not kinds <= possible:
            full = not kinds <= preset_kinds(Preset.READ_WRITE) | addable_kinds(Preset.READ_WRITE)
            needed = "nothing but `access: full` runs it" if full else "it needs `access: read-write`"
            yield "kinds", f"`{word}` cannot be allowed here: {needed}"
        elif sorts & {"relations", "schemas"} and (unseen := sorted(kinds - preset - SEEN)):
            names = ", ".join(f"`{each}`" for each in unseen[:3]) + (" and others" if len(unseen) > 3 else "")
            yield (
                "kinds",
                f"`{word}` cannot be allowed for some relations: pgjit does not see every object that {names} use",
            )
        elif "columns" in sorts and not kinds <= preset:
            yield "kinds", f"`{word}` cannot be allowed for some columns: name the relation"
        elif sorts & {"functions", "function"} and not kinds <= preset | CALLING:
            yield "kinds", f"`{word}` cannot be allowed for some functions: it calls none by name"
        elif sorts & {"settings", "types", "type", "operators", "operator", "extensions"} and not kinds <= preset:
            yield "kinds", f"`{word}` cannot be allowed for some of these: give it its own entry"


def _uncertain(entry: SelectorEntry) -> Iterator[tuple[str, str]]:
    """Names under `allow` that could mean more than one object."""
    for key, least in (("relations", 2), ("columns", 3)):
        for text in getattr(entry, key) or ():
            if text.lstrip("!") != "*" and len(parse_pattern(text.lstrip("!")).parts) < least:
                shape = "schema.name" if least == 2 else "schema.relation.column"
                yield key, f"`{text}` must be written as {shape}: a bare name may be anybody's"
    for key in ("functions", "types", "function", "type"):
        value = getattr(entry, key)
        for text in [value] if isinstance(value, str) else value or ():
            parts = parse_pattern(text.lstrip("!")).parts
            schema = parts[0] if len(parts) == 2 else None
            if schema is not None and schema.glob is not None:
                yield key, f"`{text}` must write out its schema"
            elif (schema is None or schema.text == "pg_catalog") and parts[-1].glob is not None:
                yield key, f"`{text}` must write out its name: what is built in is allowed by name alone"


def conflicts(loaded: list[tuple[Policy, Document]]) -> list[str]:
    """Two policies of one name, or of one group for one connection."""
    faults: list[str] = []
    names: dict[str, str] = {}
    grants: dict[tuple[object, ...], str] = {}
    for policy, document in loaded:
        if policy.name in names:
            faults.append(f"{document.place(('policy',))}: `{policy.name}` is in {names[policy.name]} already")
        names.setdefault(policy.name, str(document.path))
        key = (policy.group, policy.identity.role, policy.connection)
        what = "role" if policy.group is None else "group"
        if key in grants:
            faults.append(
                f"{document.place((what,))}: policy `{grants[key]}` opens connection `{policy.connection}` "
                f"to the same {what} already"
            )
        grants.setdefault(key, policy.name)
    return faults


def warnings(policy: Policy, document: Document) -> Iterator[str]:
    if policy.ttl > STANDING:
        yield f"{document.place(('ttl',))}: a window of {policy.ttl} is standing access in all but name"
    yield from grant_warnings(policy, document)
    yield from record_warnings(policy, document)
    terms = policy.statements
    for entry in terms.deny:
        if reason := _never(entry, terms):
            yield f"{entry.place}: this entry of `deny` can refuse nothing: {reason}"
    for entry in terms.allow:
        for text in barred(entry, terms):
            yield f"{entry.place}: {text}"
        if reason := _moot(entry, terms):
            yield f"{entry.place}: this entry of `allow` can allow nothing: {reason}"
        if unread := sorted((entry.kinds or frozenset()) & UNREAD):
            names = ", ".join(f"`{kind}`" for kind in unread[:3]) + (" and others" if len(unread) > 3 else "")
            yield f"{entry.place}: {names}: allowed as a whole, whatever they use or leave behind"
    for name, options in terms.switches.items():
        if terms.access not in RULES[name].switch and RULES[name].switch:
            place = document.place(("statements", "rules", name))
            yield f"{place}: `{name}` can change nothing: `access: {terms.access}` decides it"
        elif not options.enabled and terms.access not in RULES[name].on:
            place = document.place(("statements", "rules", name))
            yield f"{place}: `{name}` is not applied under `access: {terms.access}` anyway"


def _never(entry: Selector, terms: StatementTerms) -> str | None:
    if entry.kinds is not None and not any(find_permission_for_kind(terms, kind) for kind in entry.kinds):
        return f"`access: {terms.access}` allows none of its kinds"
    for other in terms.deny:
        if other is entry:
            return None
        if _covers(other, entry):
            return f"{other.place} refuses all of it"
    return None


def _moot(entry: Selector, terms: StatementTerms) -> str | None:
    if entry.kinds is not None and not entry.names_objects and entry.kinds <= preset_kinds(terms.access):
        return f"`access: {terms.access}` allows its kinds without it"
    for other in terms.deny:
        if _covers(other, entry):
            return f"{other.place} refuses all of it"
    for other in terms.allow:
        if other is entry:
            return None
        if _covers(other, entry):
            return f"{other.place} allows all of it"
    return None


def _covers(one: Selector, other: Selector) -> bool:
    """Whether all that `other` means is certainly meant by `one`."""
    if one.kinds is not None and (other.kinds is None or not other.kinds <= one.kinds):
        return False
    if not one.names_objects:
        return True
    for key in ("operators", "extensions"):
        mine, its = getattr(one, key), getattr(other, key)
        if mine or its:
            return bool(its) and its <= mine
    return any(_covered(getattr(one, key), getattr(other, key)) for key in _OBJECTS)


def _covered(one: Patterns | None, other: Patterns | None) -> bool:
    return one is not None and other is not None and one.covers(other)
