"""Settings of the session.

SET, SET LOCAL, RESET, `set_config` and the startup packet may change the settings of one list, and no others:

- output, isolation and planning, to constants; the value of `set_config` may be a parameter: `TimeZone`, `DateStyle`,
  `application_name`, `client_min_messages`, `default_transaction_isolation`, `enable_*`, costs, `jit`,
  `plan_cache_mode`, `join_collapse_limit`, `pg_trgm.*_threshold`, `hnsw.ef_search`, `ivfflat.probes` and the like
- memory and processes up to the policy's limits: `work_mem`, `hash_mem_multiplier`, `max_parallel_workers_per_gather`
- timeouts above 0, up to the policy's limits: `statement_timeout`, `idle_in_transaction_session_timeout` and the
  like; `lock_timeout` above 0
- pinned settings, only to their present value or a stricter one: `search_path`, `client_encoding`, read only, `role`
- RESET and RESET ALL restore the values that the session began with

A policy may name more settings under `settings`, but no pinned ones and none of pgjit's own (`pgjit.identity`). If
the login role is or may be a superuser, `role` and `session_authorization` may not be set at all.

Why: `search_path` changes what names mean, `client_encoding` changes where a string ends, `row_security` and
`session_replication_role` switch off protection, `statement_timeout` lifts a limit, and memory is shared by all
sessions. Row security policies often trust an application's own settings.

Instead: write names with their schema rather than setting `search_path`; set a timeout or memory within the limits.
"""

from __future__ import annotations

from collections.abc import Iterator

from pgjit.policy.decision import JudgedObject, Violation
from pgjit.policy.passages import Passages
from pgjit.policy.policy import StatementTerms
from pgjit.policy.rule import Rule
from pgjit.policy.session_settings import FREE, Objection, find_opening_entry, objection, setting_name
from pgjit.sql.referenced import ReferencedObjects
from pgjit.sql.statement import Setting, Statement

__all__ = ["RULE"]

_JUDGED_ELSEWHERE = frozenset({"transaction", "session characteristics", "transaction snapshot"})
"""transaction-mode and exported-snapshots judge them."""


def _check(
    statement: Statement, terms: StatementTerms, referenced: ReferencedObjects | None, passages: Passages | None
) -> Iterator[Violation]:
    start = None if referenced is None else referenced.start
    for setting in statement.settings:
        if statement.kind == "set" and setting.name in _JUDGED_ELSEWHERE:
            continue
        own = statement.kind == "set" or setting.called
        found = objection(setting, terms, start) if own else _lasting(setting)
        if found is None:
            if own and passages is not None:
                _report(statement, setting, terms, passages)
        else:
            yield Violation(
                rule="session-setting",
                message=found.message,
                detail=found.detail,
                hint=found.hint,
                position=setting.position or statement.position + 1,
                statement=statement.index,
                objects=(JudgedObject("setting", setting_name(setting.name or "*"), setting.position),),
            )


def _report(statement: Statement, setting: Setting, terms: StatementTerms, passages: Passages) -> None:
    entry = None if setting.name is None else find_opening_entry(setting.name, terms)
    if entry is not None:
        passages.add(statement, entry.place, "setting", setting_name(setting.name or ""), setting.position)


def _lasting(setting: Setting) -> Objection | None:
    """Why a function, a role or a database may not get the setting for later sessions."""
    if setting.name in FREE and setting.constant and not setting.back:
        return None
    return Objection(
        f"setting `{setting.name or 'ALL'}` may not be kept for later sessions",
        "It would stay with a function, a role or a database, and apply to sessions of others.",
        "Set it in the session that needs it.",
    )


RULE = Rule("session-setting", __doc__, _check)
