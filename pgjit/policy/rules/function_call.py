"""Functions off the list.

A statement may call built-in functions that only compute or read, those of `information_schema` among them, and
functions that its policy names under `allow`. A name without a schema means the built-in function, unless the
server's catalog has another function that the call could mean. Then that one must be named as well.

Sampling methods of TABLESAMPLE are functions too. So are the functions that views, casts, operators and domains call,
even where no cast is written: `m + 1` calls the function of an implicit cast of `m` to integer, and `to_json(m)` that
of a cast to json.

Why: a function can do all that its owner may do: read files, end other sessions, send data elsewhere, run SQL from a
string. These built-in functions are refused:

- volatile functions, except those that only return time, random values or sizes, or that system views call
- functions that read files, run SQL from a text, or assign a transaction id (`txid_current`, `pg_current_xact_id`)

`pg_input_is_valid` may be called with a constant that names a built-in type. The list is
`pgjit/policy/builtin_functions.txt`.

Instead: use a built-in function, or write the query out. For a known extension ask for `extensions: [pg_trgm]` in the
policy, which opens the functions that only compute or read. The list is `pgjit/policy/extensions.yaml`. For another
function ask for `functions: [schema.name]` in the policy, and call it with its schema.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from pgjit.policy.builtin_functions import BUILTIN_FUNCTIONS
from pgjit.policy.decision import JudgedObject, Violation
from pgjit.policy.dialects import function_hint
from pgjit.policy.extensions import extension_of, left_out
from pgjit.policy.families import family_of
from pgjit.policy.match import collect_kinds, find_permission_for_extension, find_permission_for_name
from pgjit.policy.passages import Passages
from pgjit.policy.policy import StatementTerms
from pgjit.policy.rule import Rule
from pgjit.sql.referenced import ReferencedFunction, ReferencedObjects
from pgjit.sql.statement import Name, Statement

__all__ = ["INFORMATION", "RULE"]

INFORMATION = frozenset(
    """
    _pg_char_max_length _pg_char_octet_length _pg_datetime_precision _pg_expandarray _pg_index_position
    _pg_interval_type _pg_numeric_precision _pg_numeric_precision_radix _pg_numeric_scale _pg_truetypid _pg_truetypmod
""".split()
)
"""Functions of `information_schema`, written in SQL. Drivers call them for primary keys and indexes."""
_INFORMATION_SCHEMA = "information_schema"
_JUDGED_ELSEWHERE = frozenset({"pg_input_error_info", "pg_input_is_valid", "set_config"})
"""session-setting judges their arguments, and foreign-type those that name a type as a constant."""


_TYPE = "Write its type out as a constant that names a built-in one, such as 'integer'."


def _check(
    statement: Statement, terms: StatementTerms, referenced: ReferencedObjects | None, passages: Passages | None
) -> Iterator[Violation]:
    found = referenced.functions if referenced is not None else ()
    resolved = {each.name for each in found if each.schema is not None}
    extended = {(each.schema, each.name) for each in found if each.extension is not None}
    unread = {function.parts for function in statement.unread_types}
    missing = referenced.missing("unknown-function", "unknown-schema") if referenced is not None else frozenset()
    for function in statement.functions:
        if function.parts in missing:
            continue  # unresolved-name reports it, as the server does
        if len(function.parts) == 1 and function.parts[0] in resolved and not _is_builtin(function):
            continue  # the catalog knows which function it is: see below
        if function.parts in extended:
            continue  # likewise
        if function.parts not in unread and _listed(function):
            continue
        place = _find_permission(function, statement, terms)
        if place is not None:
            if passages is not None:
                passages.add(statement, place, "function", function.parts)
        elif function.parts in unread:
            written = JudgedObject("function", function.parts)
            yield replace(_violation(statement, written, function.text, function.position), hint=_TYPE)
        else:
            known = referenced is not None and referenced.start is not None
            yield _unlisted(statement, function, exists=not known or function.parts[-1] in resolved)
    yield from _older_calls(statement, referenced)
    if referenced is not None:
        yield from _check_resolved(statement, terms, referenced, passages)


def _check_resolved(
    statement: Statement, terms: StatementTerms, referenced: ReferencedObjects, passages: Passages | None
) -> Iterator[Violation]:
    """The functions that calls, views, casts and operators resolve to in the server's catalog."""
    kinds = collect_kinds(statement)
    for function in referenced.functions:
        if function.schema is None or _is_listed(function, statement):
            continue
        name = (function.schema, function.name)
        place = find_permission_for_name(terms, "functions", name, kinds)
        if place is None:
            place = find_permission_for_extension(terms, function, referenced.extensions, kinds)
        if place is None:
            yield _of_touched(statement, function, referenced)
        elif passages is not None:
            passages.add(statement, place, "function", name, function.position, function.through)


def _unlisted(statement: Statement, function: Name, *, exists: bool) -> Violation:
    """`f(x)` is also `x.f` if a row has such a column: then unresolved-name does not report the function."""
    violation = _violation(statement, JudgedObject("function", function.parts), function.text, function.position)
    violation = replace(violation, hint=function_hint(function.text) or violation.hint)
    if exists:
        return violation
    return replace(violation, message=f"function `{function.text}` does not exist", sqlstate="42883")


def _older_calls(statement: Statement, referenced: ReferencedObjects | None) -> Iterator[Violation]:
    """Without a catalog: syntax of a newer server, which an older one reads as a call of a function of that name."""
    unknown = None if referenced is None else {each.name for each in referenced.functions if each.schema is None}
    for call, position in statement.scopes.calls:
        name = call.parts[-1]
        if call.before is not None and name not in BUILTIN_FUNCTIONS and (unknown is None or name in unknown):
            yield Violation(
                rule="function-call",
                message=f"what `{name}(...)` means cannot be known without the server's catalog",
                detail=f"A server before version {call.before // 10000} takes it for a call of a function `{name}`.",
                hint="Give `pgjit policy` the server's catalog; a session has it.",
                position=position or statement.position + 1,
                statement=statement.index,
                objects=(JudgedObject("function", call.parts),),
            )


def _listed(function: Name) -> bool:
    """Whether every statement may call it, or another rule decides on it."""
    if function.parts[:-1] == (_INFORMATION_SCHEMA,) and function.parts[-1] in INFORMATION:
        return True
    return _is_builtin(function)


def _is_builtin(function: Name) -> bool:
    builtin = function.builtin
    return builtin is not None and (
        builtin in BUILTIN_FUNCTIONS or builtin in _JUDGED_ELSEWHERE or family_of(function) is not None
    )


def _find_permission(function: Name, statement: Statement, terms: StatementTerms) -> str | None:
    """The place of the entry that names it, as it is written."""
    if not terms.allow or len(function.parts) > 2:
        return None
    name = ("pg_catalog", *function.parts)[-2:]
    return find_permission_for_name(terms, "functions", name, collect_kinds(statement))


def _is_listed(function: ReferencedFunction, statement: Statement) -> bool:
    """Whether every statement may call it, or another rule decides on it by the name that is written."""
    if function.name in BUILTIN_FUNCTIONS and (function.builtin or function.extension is not None):
        return True  # probably the built-in one, to which an extension adds a meaning for its own types
    if function.builtin and function.schema == _INFORMATION_SCHEMA and function.name in INFORMATION:
        return True
    written = not function.through and any(
        function.name == name.parts[-1] for name in statement.functions if name.parts
    )
    return function.builtin and written and _is_builtin(Name((function.name,)))


def _of_touched(statement: Statement, found: ReferencedFunction, referenced: ReferencedObjects) -> Violation:
    judged = JudgedObject("function", (found.schema, found.name), found.position, found.through)
    violation = _violation(statement, judged, found.text, found.position, found.through)
    extension = extension_of(found.extension)
    if extension is None:
        return violation
    reason = left_out(found, referenced.extensions)
    detail = f"It belongs to extension `{extension.name}`" + (f", and stays closed: {reason}." if reason else ".")
    hint = violation.hint if reason else f"Ask for `extensions: [{extension.name}]` under `allow` of the policy."
    return replace(violation, detail=detail, hint=hint)


def _violation(
    statement: Statement, judged: JudgedObject, name: str, position: int | None, through: tuple[str, ...] = ()
) -> Violation:
    detail = "Only built-in functions that compute or read are allowed, and those that the policy names."
    hint = "Use a built-in function, or ask for the function to be named in the policy."
    if through:
        detail = "Views call functions, and so do casts and checks of types, where no call is written."
        hint = "Cast the value to text first, leave it out, or ask for the function to be named in the policy."
    reached = f", which `{'` calls through `'.join(through)}` calls," if through else ""
    return Violation(
        rule="function-call",
        message=f"function `{name}`{reached} is not allowed under this policy",
        detail=detail,
        hint=hint,
        position=position or statement.position + 1,
        statement=statement.index,
        objects=(judged,),
    )


RULE = Rule("function-call", __doc__, _check)
