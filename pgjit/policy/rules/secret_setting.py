"""Settings whose value may be a secret.

SHOW, `current_setting` and SHOW ALL may show the settings on a list: those of PostgreSQL and of a few extensions. The
list leaves out settings that run a command or connect elsewhere (`primary_conninfo`, `archive_command`,
`ssl_passphrase_command`). Any other setting, above all an application's own `app.*`, needs an entry of `allow` under
`settings`, without `kinds` or with the kind `show`.

The name in `current_setting` must be a constant, the name in a row of `pg_settings`, or a parameter. A parameter may
name settings of the list only, and is judged when its value is known. SHOW ALL runs if every setting that is set on
the server, and that the login role can see, may be shown.

The list is `pgjit/policy/shown_settings.txt`. `secret-catalog` judges columns that show settings.

Why: settings hold connection strings, keys and tokens: of replication, of archiving, and of applications that keep
them with `ALTER ROLE ... SET` or `ALTER DATABASE ... SET`, where every role can read them.

Instead: show one setting by its name, or read `pg_settings`. For another setting ask for a policy that names it:
`allow: [{kinds: show, settings: app.tenant}]`.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence

from pgjit.policy.decision import JudgedObject, Violation
from pgjit.policy.dialects import setting_hint
from pgjit.policy.passages import Passages
from pgjit.policy.policy import StatementTerms
from pgjit.policy.rule import Rule
from pgjit.policy.selector import Selector
from pgjit.policy.session_settings import setting_name
from pgjit.policy.shown_settings import SHOWN
from pgjit.sql.referenced import ReferencedObjects
from pgjit.sql.statement import ShownSetting, Statement

__all__ = ["RULE", "may_show", "unshown_parameter"]

_OWN = "pgjit."
_CALL = "current_setting"
_BOUND = frozenset({"select", "explain", "declare", "insert", "update", "delete", "merge"})
"""Kinds whose parameters are values that the client binds, and not those of a function or of a later EXECUTE."""


def may_show(terms: StatementTerms, name: str) -> bool:
    """Whether the value of a setting may be shown under a policy."""
    return name.lower() in SHOWN or showing_entry(terms, name) is not None


def showing_entry(terms: StatementTerms, name: str) -> Selector | None:
    """The entry of `allow` that lets the value of a setting be shown."""
    parts = setting_name(name.lower())
    for entry in terms.allow:
        if (
            entry.settings is not None
            and (entry.kinds is None or "show" in entry.kinds)
            and entry.settings.match(parts, lenient=False)
        ):
            return entry
    return None


def _check(
    statement: Statement, terms: StatementTerms, referenced: ReferencedObjects | None, passages: Passages | None
) -> Iterator[Violation]:
    for shown in statement.shown_settings:
        if shown.name is not None and not shown.everything:
            if shown.name.startswith(_OWN) or shown.name.lower() in SHOWN:
                continue
            entry = showing_entry(terms, shown.name)
            if entry is None:
                yield _named(statement, shown, shown.name)
            elif passages is not None:
                passages.add(statement, entry.place, "setting", setting_name(shown.name), shown.position)
        elif shown.everything or _of_view(statement, shown, referenced):
            yield from _all(statement, shown, terms, referenced)
        elif shown.parameter is not None and statement.kind in _BOUND:
            continue  # `unshown_parameter` judges the name before the statement runs
        else:
            yield _unnamed(statement, shown.position)
    if _CALL in statement.attributes or _CALL in statement.columns:  # (value).current_setting calls it as well
        yield _unnamed(statement, None)


def unshown_parameter(statement: Statement, values: Sequence[bytes | None]) -> Violation | None:
    """The violation of a statement that is about to run with these parameters, if one names a setting off the list.

    Only the list counts: a setting that a policy names has to be written as a constant.
    """
    for shown in statement.shown_settings:
        if shown.parameter is None:
            continue
        value = values[shown.parameter - 1] if shown.parameter <= len(values) else b"?"
        if value is not None and value.decode("utf-8", "replace").lower() not in SHOWN:
            return _unnamed(statement, shown.position)
    return None


def _of_view(statement: Statement, shown: ShownSetting, referenced: ReferencedObjects | None) -> bool:
    """Whether `pg_settings` is the view of the system."""
    others = [] if referenced is None else [each for each in referenced.relations if each.name == "pg_settings"]
    return (
        shown.of_view
        and "pg_settings" not in statement.scopes.queries
        and all(each.schema in (None, "pg_catalog") for each in others)
    )


def _all(
    statement: Statement, shown: ShownSetting, terms: StatementTerms, referenced: ReferencedObjects | None
) -> Iterator[Violation]:
    secrets = None if referenced is None else referenced.secrets
    named = () if secrets is None else secrets.get("pg_settings.setting", ())
    kept = [name for name in named if not may_show(terms, name)]
    if secrets is not None and not kept:
        return
    names = ", ".join(f"`{name}`" for name in kept[:5])
    unknown = "Without the server's catalog it is not known whether any of them holds a secret."
    yield Violation(
        rule="secret-setting",
        message="not all settings may be shown",
        detail=f"These are set and may hold a secret: {names}." if kept else unknown,
        hint="Show the settings that you need by name: SHOW work_mem.",
        position=shown.position or statement.position + 1,
        statement=statement.index,
        objects=(JudgedObject("setting", ("", "*"), shown.position),),
    )


def _named(statement: Statement, shown: ShownSetting, name: str) -> Violation:
    near = difflib.get_close_matches(name, SHOWN, n=1, cutoff=0.8) if "." not in name else []
    hint = f"Perhaps you meant `{near[0]}`." if near else "A policy may allow it under `settings`."
    how = setting_hint(name)  # `SHOW tables`: no setting, but what other systems show so
    return Violation(
        rule="secret-setting",
        message=f"unrecognized configuration parameter `{name}`"
        if how
        else f"the value of setting `{name}` may not be shown",
        detail="Settings may hold secrets. Those that do not are on a list, and this one is not.",
        hint=how or hint,
        sqlstate="42704" if how else "42501",
        position=shown.position or statement.position + 1,
        statement=statement.index,
        objects=(JudgedObject("setting", setting_name(name), shown.position),),
    )


def _unnamed(statement: Statement, position: int | None) -> Violation:
    return Violation(
        rule="secret-setting",
        message="a setting whose name is not a constant may not be shown",
        detail="Settings may hold secrets. Only those on a list may be shown, so the name must be known.",
        hint="Write the name as a constant, or read pg_settings; a parameter may name a setting on the list.",
        position=position or statement.position + 1,
        statement=statement.index,
        objects=(JudgedObject("setting", ("", "?"), position),),
    )


RULE = Rule("secret-setting", __doc__, _check)
