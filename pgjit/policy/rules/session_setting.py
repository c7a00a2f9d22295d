"""Settings of the session.

SET, SET LOCAL, RESET and `set_config` may change `TimeZone`, `DateStyle`, `IntervalStyle`, `extra_float_digits`,
`application_name`, `client_min_messages`, `bytea_output` and `jit`, and only to constants; the value of
`set_config` may be a parameter. RESET ALL is allowed. `statement_timeout` may be set to a constant over 0 and up to
`limits.statement_time`, or the `ttl` where there is no such limit. Some may be set to what they are, or to what is
stricter: `client_encoding` to UTF8, `standard_conforming_strings`, `default_transaction_read_only`,
`transaction_read_only` and `row_security` to on. A policy may name more under `settings`, such as `enable_*` for who
looks at plans, but for those that pgjit's own guard rests on.

Why: Many settings are ways around another rule: `search_path` changes what names mean, `client_encoding` changes
where a string ends, `row_security` and `session_replication_role` switch off protection, `statement_timeout` lifts
a limit, and settings of an application's own are what row security policies often trust.

Instead: Qualify names with their schema rather than setting `search_path`. RESET ALL goes back to what the session
began with.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta

from pgjit.policy.decision import Violation
from pgjit.policy.policy import StatementTerms
from pgjit.policy.rule import Rule
from pgjit.sql.statement import Setting, Statement
from pgjit.sql.touched import Touched

__all__ = ["PINNED", "RULE", "SETTINGS", "UTF8", "setting_name"]

SETTINGS = frozenset({
    "application_name", "bytea_output", "client_min_messages", "datestyle", "extra_float_digits", "intervalstyle",
    "jit", "timezone",
})  # fmt: skip
PINNED = frozenset({
    "backslash_quote", "client_connection_check_interval", "client_encoding", "default_transaction_read_only",
    "escape_string_warning", "idle_in_transaction_session_timeout", "idle_session_timeout", "is_superuser",
    "local_preload_libraries", "role", "row_security", "search_path", "session_authorization",
    "session_preload_libraries", "session_replication_role", "standard_conforming_strings", "temp_tablespaces",
    "transaction_read_only", "transaction_timeout",
})  # fmt: skip
"""What the judging and the end of a window rest on: no policy but one of `full` access lets it be changed."""
UTF8 = frozenset({"utf8", "utf-8", "unicode"})
"""The names of one encoding: the server reports it by the one that it was set by."""
_ON = frozenset({"on", "true", "yes", "1"})
_PINNED_TO = {  # a driver may say what is so, or what is stricter
    "client_encoding": UTF8,
    "default_transaction_read_only": _ON,
    "row_security": _ON,
    "standard_conforming_strings": _ON,
    "transaction_read_only": _ON,
}
_TRANSACTIONS = frozenset({"transaction", "session characteristics"})  # judged by transaction-mode
_LENGTH = re.compile(r"\s*\+?([0-9]{1,9})\s*(us|ms|s|min|h|d)?\s*\Z")
_UNITS = {"us": 0.001, "ms": 1, "s": 1000, "min": 60_000, "h": 3_600_000, "d": 86_400_000, None: 1}


def _check(statement: Statement, terms: StatementTerms, _touched: Touched | None) -> Iterator[Violation]:
    for setting in statement.settings:
        if not _allowed(statement, setting, terms):
            named = f"setting `{setting.name}`" if setting.name else "a setting that is not a constant"
            yield Violation(
                rule="session-setting",
                message=f"{named} may not be changed",
                detail="Most settings are ways around a rule; what guards this session is pinned.",
                hint=_hint(setting, terms),
                position=setting.position or statement.position + 1,
                statement=statement.index,
            )


def _hint(setting: Setting, terms: StatementTerms) -> str:
    if setting.name == "statement_timeout" and terms.longest is not None:
        return f"Allowed are constants from 1 ms to {_milliseconds(terms.longest)} ms, and RESET statement_timeout."
    if setting.name == "search_path":
        return "It stays as it is, so that names mean what was judged: write them with their schema."
    if setting.name in PINNED:
        kept = "UTF8" if setting.name == "client_encoding" else "on"
        return f"It may be set to {kept}." if setting.name in _PINNED_TO else "It stays as the session began."
    return f"Allowed are constants for {', '.join(sorted(SETTINGS))}; a policy may name more under `settings`."


def _allowed(statement: Statement, setting: Setting, terms: StatementTerms) -> bool:
    if setting.everything:  # RESET ALL goes back to what the session began with: its pinned settings
        return True
    if setting.name in _TRANSACTIONS:
        return statement.kind == "set"
    if setting.name is None or not setting.constant:
        return False
    if setting.name in PINNED:
        return setting.value is not None and setting.value.lower() in _PINNED_TO.get(setting.name, ())
    if setting.name == "statement_timeout":
        return setting.back or _shorter(setting.value, terms.longest)
    return setting.name in SETTINGS or any(
        entry.settings is not None and entry.settings.match(setting_name(setting.name), lenient=False)
        for entry in terms.allow
    )


def _shorter(value: str | None, longest: timedelta | None) -> bool:
    """Whether it is a length of time over 0 and not over the policy's own. None of either: it cannot be told."""
    match = _LENGTH.match(value) if value is not None else None
    if match is None or longest is None:
        return False
    return 1 <= int(match[1]) * _UNITS[match[2]] <= _milliseconds(longest)


def _milliseconds(length: timedelta) -> int:
    return int(length / timedelta(milliseconds=1))


def setting_name(name: str) -> tuple[str, str]:
    """A setting's name in its parts: the first is empty but for those of extensions and applications."""
    schema, _, own = name.rpartition(".")
    return schema, own


RULE = Rule("session-setting", __doc__, _check)
