"""SET, RESET and set_config of anything off the list, or of what is not a constant."""

from __future__ import annotations

from collections.abc import Iterator

from pgjit.policy.decision import Violation
from pgjit.policy.policy import StatementTerms
from pgjit.policy.rule import Rule
from pgjit.sql.statement import Setting, Statement

__all__ = ["RULE", "SETTINGS"]

SETTINGS = frozenset({
    "application_name", "bytea_output", "client_min_messages", "datestyle", "extra_float_digits", "intervalstyle",
    "jit", "timezone",
})  # fmt: skip
_TRANSACTIONS = frozenset({"transaction", "session characteristics"})  # judged by transaction-mode


def _check(statement: Statement, _terms: StatementTerms) -> Iterator[Violation]:
    for setting in statement.settings:
        if not _allowed(statement, setting):
            named = f"setting `{setting.name}`" if setting.name else "a setting that is not a constant"
            yield Violation(
                rule="session-setting",
                message=f"{named} may not be changed",
                detail="Most settings are ways around a rule; what guards this session is pinned.",
                hint=f"Allowed are constants for {', '.join(sorted(SETTINGS))}.",
                position=setting.position or statement.position + 1,
                statement=statement.index,
            )


def _allowed(statement: Statement, setting: Setting) -> bool:
    if setting.everything:  # RESET ALL goes back to what the session began with: its pinned settings
        return True
    if setting.name in _TRANSACTIONS:
        return statement.kind == "set"
    return setting.name in SETTINGS and setting.constant


RULE = Rule("session-setting", _check)
