"""Which settings a session may change, and to what: one list for SET, RESET, `set_config` and the startup packet.

A setting in none of the classes here is refused, unless a policy names it. Pure. Settings that a command keeps for
later sessions (`ALTER ROLE ... SET`) are decided by the rule `session-setting`: only `FREE` ones may be kept.

INVARIANT: a pinned setting may be set only to its present value or to a stricter one. No policy opens it.
INVARIANT: no policy opens a setting of pgjit's own (`pgjit.identity`). Row security may trust it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import timedelta

from pgjit.policy.policy import StatementTerms
from pgjit.policy.preset import Preset
from pgjit.policy.selector import Selector
from pgjit.sql.referenced import SessionStart
from pgjit.sql.statement import Setting

__all__ = [
    "CAPPED",
    "FREE",
    "ON",
    "PINNED",
    "TIMEOUTS",
    "UTF8",
    "Objection",
    "find_opening_entry",
    "objection",
    "setting_name",
    "shown_size",
]

_OUTPUT = """
    application_name bytea_output client_min_messages datestyle default_text_search_config escape_string_warning
    extra_float_digits icu_validation_level intervalstyle lc_monetary lc_numeric lc_time quote_all_identifiers
    stats_fetch_consistency synchronize_seqscans timezone xmlbinary xmloption
"""
_TRANSACTIONS = """
    default_transaction_deferrable default_transaction_isolation transaction_deferrable transaction_isolation
"""
_PLANNER = """
    constraint_exclusion cpu_index_tuple_cost cpu_operator_cost cpu_tuple_cost cursor_tuple_fraction
    default_statistics_target effective_cache_size enable_async_append enable_bitmapscan enable_distinct_reordering
    enable_gathermerge enable_group_by_reordering enable_hashagg enable_hashjoin enable_incremental_sort
    enable_indexonlyscan enable_indexscan enable_material enable_memoize enable_mergejoin enable_nestloop
    enable_parallel_append enable_parallel_hash enable_partition_pruning enable_partitionwise_aggregate
    enable_partitionwise_join enable_presorted_aggregate enable_self_join_elimination enable_seqscan enable_sort
    enable_tidscan from_collapse_limit geqo geqo_effort geqo_generations geqo_pool_size geqo_seed
    geqo_selection_bias geqo_threshold gin_fuzzy_search_limit jit jit_above_cost jit_expressions
    jit_inline_above_cost jit_optimize_above_cost jit_tuple_deforming join_collapse_limit
    min_parallel_index_scan_size min_parallel_table_scan_size parallel_leader_participation parallel_setup_cost
    parallel_tuple_cost plan_cache_mode random_page_cost recursive_worktable_factor seq_page_cost
"""
_EXTENSIONS = """
    hll.force_groupagg hnsw.ef_search hnsw.iterative_scan hnsw.max_scan_tuples hypopg.enabled ivfflat.iterative_scan
    ivfflat.max_probes ivfflat.probes orafce.nls_date_format orafce.timezone pg_trgm.similarity_threshold
    pg_trgm.strict_word_similarity_threshold pg_trgm.word_similarity_threshold rum.array_similarity_threshold
    rum.array_similarity_function rum_fuzzy_search_limit
"""
FREE = frozenset(f"{_OUTPUT} {_TRANSACTIONS} {_PLANNER} {_EXTENSIONS}".split())
"""They change the format of output, the isolation of transactions or the planner. No rule depends on them."""
CAPPED = {
    "work_mem": "work_mem",
    "hash_mem_multiplier": "hash_mem_multiplier",
    "hnsw.scan_mem_multiplier": "hash_mem_multiplier",
    "max_parallel_workers": "parallel_workers",
    "max_parallel_workers_per_gather": "parallel_workers",
}
"""Memory and processes, which all sessions share. Each with the limit of the policy that bounds it."""
TIMEOUTS = frozenset({
    "idle_in_transaction_session_timeout", "idle_session_timeout", "lock_timeout", "statement_timeout",
    "transaction_timeout",
})  # fmt: skip
"""They may be made shorter than the policy's limit, never switched off."""
PINNED = {
    "backslash_quote": "It decides where a string ends.",
    "client_connection_check_interval": "It ends statements whose client is gone.",
    "client_encoding": "Statements are judged as UTF-8; in another encoding the server could read them differently.",
    "default_transaction_read_only": "The policy gives read-only access.",
    "idle_in_transaction_session_timeout": "It ends a session if pgjit cannot.",
    "idle_session_timeout": "It ends a session if pgjit cannot.",
    "is_superuser": "It reports whether the login role is a superuser.",
    "local_preload_libraries": "It loads code into the server.",
    "role": "A session has the rights of its login role.",
    "row_security": "It decides whether row security applies.",
    "search_path": "It decides what a name without its schema means.",
    "session_authorization": "A session has the rights of its login role.",
    "session_preload_libraries": "It loads code into the server.",
    "session_replication_role": "It switches triggers and foreign keys off.",
    "standard_conforming_strings": "It decides where a string ends.",
    "temp_tablespaces": "It decides where files are written.",
    "transaction_read_only": "The policy gives read-only access.",
    "transaction_timeout": "It ends a session if pgjit cannot.",
}
"""Judging and the end of a window depend on them. Only a policy of `full` access lets them be changed."""
UTF8 = frozenset({"utf8", "utf-8", "unicode"})
"""Names of one encoding: the server reports the name by which it was set."""
_ROLES = frozenset({"role", "session_authorization"})
_READ_ONLY = frozenset({"default_transaction_read_only", "transaction_read_only"})
ON = frozenset({"on", "t", "tr", "tru", "true", "y", "ye", "yes", "1"})
_OFF = frozenset({"of", "off", "f", "fa", "fal", "fals", "false", "n", "no", "0"})
_KEPT = {  # their present values
    "backslash_quote": frozenset({"safe_encoding"}),
    "client_connection_check_interval": frozenset({"500", "500ms"}),
    "session_replication_role": frozenset({"origin"}),
    "row_security": ON,
    "standard_conforming_strings": ON,
    **dict.fromkeys(_READ_ONLY, ON),
}
_LENGTH = re.compile(r"\s*\+?([0-9]{1,9})\s*(us|ms|s|min|h|d)?\s*\Z")
_UNITS = {"us": 0.001, "ms": 1, "s": 1000, "min": 60_000, "h": 3_600_000, "d": 86_400_000, None: 1}
_SIZE = re.compile(r"\s*\+?([0-9]{1,9})\s*(B|kB|MB|GB|TB)?\s*\Z")
_SIZES = {"B": 1, "kB": 2**10, "MB": 2**20, "GB": 2**30, "TB": 2**40, None: 2**10}
_NUMBER = re.compile(r"\s*\+?([0-9]{1,9}(?:\.[0-9]{0,9})?)\s*\Z")
_LISTED = "A policy may name more of them under `settings`."
_OWN = "pgjit."


@dataclass(frozen=True, slots=True)
class Objection:
    """Why a change of a setting is refused, and what would be accepted."""

    message: str
    detail: str
    hint: str


def objection(setting: Setting, terms: StatementTerms, start: SessionStart | None) -> Objection | None:
    """Why this change in a session is refused; None if it may be made. `start` is None if it is not known."""
    name = setting.name
    if setting.everything:  # RESET ALL goes back to what the session began with: its pinned settings
        return None
    if name is None or not setting.constant:
        return Objection(
            f"{_named(setting)} may not be changed",
            "The setting and its value have to be known to be judged.",
            "Write both out as constants.",
        )
    if _is_own(name):
        return _own(name)
    if find_opening_entry(name, terms) is not None:
        return None
    if setting.back:
        return _back(name, terms, start)
    if name in TIMEOUTS:
        return _timeout(name, setting.value, terms)
    if name in PINNED:
        return _pinned(setting, name, terms, start)
    if name in CAPPED:
        return _capped(name, setting.value, terms)
    return None if name in FREE else _unlisted(name)


def _named(setting: Setting) -> str:
    return f"setting `{setting.name}`" if setting.name else "a setting that is not a constant"


def find_opening_entry(name: str, terms: StatementTerms) -> Selector | None:
    """The entry of `allow` that lets the setting be changed freely."""
    if name == "statement_timeout" or name in PINNED or _is_own(name):
        return None
    parts = setting_name(name)
    for entry in terms.allow:
        if (
            entry.settings is not None
            and (entry.kinds is None or "set" in entry.kinds)
            and entry.settings.match(parts, lenient=False)
        ):
            return entry
    return None


def _is_own(name: str) -> bool:
    """PostgreSQL compares the names of settings without regard to case."""
    return name.lower().startswith(_OWN)


def _own(name: str) -> Objection:
    return Objection(
        f"setting `{name}` may not be changed",
        "pgjit sets it for each session. Row security policies and triggers may trust it. No policy opens it.",
        "Leave it out; SHOW pgjit.identity and current_setting('pgjit.identity') read it.",
    )


def _unlisted(name: str) -> Objection:
    if "." in name:
        return Objection(
            f"setting `{name}` may not be changed",
            "Row security policies and functions often trust settings of an application or an extension.",
            _LISTED,
        )
    return Objection(
        f"setting `{name}` may not be changed",
        "It is not among the settings that a session may change: those of output, isolation, planning and memory.",
        _LISTED,
    )


def _back(name: str, terms: StatementTerms, start: SessionStart | None) -> Objection | None:
    """RESET and SET ... TO DEFAULT restore the value that the session began with."""
    if name == "transaction_read_only" and terms.access is Preset.READ_ONLY:
        # Before PostgreSQL 16 it restores the default of PostgreSQL, not that of the session.
        return Objection(
            f"setting `{name}` may not be reset", PINNED[name], "It may be set to on; a new transaction is read-only."
        )
    if name in _ROLES and (start is None or start.superuser):
        return _role(name)
    return None


# --- timeouts ------------------------------------------------------------------------------------------


def _timeout(name: str, value: str | None, terms: StatementTerms) -> Objection | None:
    most = terms.longest
    if name == "idle_in_transaction_session_timeout":
        most = terms.idle or most
    new_value = length_of(value)
    # Waiting for a lock counts in `statement_timeout` as well.
    bounded = name != "lock_timeout"
    if (
        new_value is not None
        and new_value >= 1
        and (not bounded or (most is not None and new_value <= _milliseconds(most)))
    ):
        return None
    if not bounded:
        allowed = "constants from 1 ms, and "
    else:
        allowed = "" if most is None else f"constants from 1 ms to {_milliseconds(most)} ms, and "
    return Objection(
        f"setting `{name}` may not be set {_to(value)}",
        "It may be made shorter than the policy's limit; 0 would switch it off.",
        f"Allowed are {allowed}RESET {name}.",
    )


def _to(value: str | None) -> str:
    return "to a value that is not a constant" if value is None else f"to `{value}`"


def length_of(value: str | None) -> float | None:
    """Milliseconds, as the server reads them; None where it is no length of time."""
    match = _LENGTH.match(value) if value is not None else None
    return None if match is None else int(match[1]) * _UNITS[match[2]]


def _milliseconds(length: timedelta) -> int:
    return int(length / timedelta(milliseconds=1))


# --- what is pinned ------------------------------------------------------------------------------------


def _pinned(setting: Setting, name: str, terms: StatementTerms, start: SessionStart | None) -> Objection | None:
    if name == "search_path":
        return _search_path(setting, start)
    if name in _ROLES:
        return None if start is not None and _same_role(setting, name, start) else _role(name)
    value = (setting.value or "").lower()
    if name == "client_encoding":
        if re.sub(r"[^a-z0-9]", "", value) in ("utf8", "unicode"):
            return None
        return Objection(f"setting `{name}` may not be changed", PINNED[name], "It may be set to UTF8.")
    kept = _KEPT.get(name, frozenset())
    writing = name == "default_transaction_read_only" and terms.access is not Preset.READ_ONLY
    if value in kept or (writing and value in _OFF):  # then off is what it is
        return None
    hint = "It keeps the value that the session began with."
    if kept:
        hint = "It may be set to on." if kept is ON else f"It may be set to {max(kept)}."
    return Objection(f"setting `{name}` may not be changed", PINNED[name], hint)


def _search_path(setting: Setting, start: SessionStart | None) -> Objection | None:
    pinned = None if start is None or start.search_path is None else _schemas(start.search_path)
    if setting.called:
        new_value = None if setting.value is None else _schemas(setting.value)
    else:  # each of the values of SET is one name
        new_value = tuple(value for value in setting.values if value is not None)
    if new_value is not None and pinned is not None and _known(new_value) == _known(pinned):
        return None
    present = (
        ""
        if start is None or start.search_path is None
        else f"; it may be set to its present value: {start.search_path}"
    )
    return Objection(
        "setting `search_path` may not be changed",
        PINNED["search_path"],
        f"Write names with their schema{present}.",
    )


def _known(names: Iterable[str]) -> tuple[str, ...]:
    """An empty name means no schema at all."""
    return tuple(name for name in names if name)


def _schemas(text: str) -> tuple[str, ...] | None:
    """The names in a list as the server reads them: folded unless quoted. None if it is no list of names."""
    names: list[str] = []
    left = text.strip()
    while left:
        match = re.match(r'\s*(?:"((?:[^"]|"")*)"|([^\s,"]+))\s*(?:,|\Z)', left)
        if match is None:
            return None
        names.append(match[2].lower() if match[1] is None else match[1].replace('""', '"'))
        left = left[match.end() :]
    return tuple(names)


def _same_role(setting: Setting, name: str, start: SessionStart) -> bool:
    if start.superuser or setting.value is None:
        return False
    return setting.value == start.role or (name == "role" and setting.value == "none")


def _role(name: str) -> Objection:
    what = name.replace("_", " ").upper()
    return Objection(
        f"setting `{name}` may not be changed",
        PINNED[name],
        f"Leave {what} out: a session keeps its login role.",
    )


# --- memory and processes ------------------------------------------------------------------------------


def _capped(name: str, value: str | None, terms: StatementTerms) -> Objection | None:
    limit = CAPPED[name]
    most = getattr(terms.caps, limit)
    new_value = _amount(name, value)
    if new_value is not None and new_value <= most:
        return None
    shown = shown_size(most) if limit == "work_mem" else f"{most:g}"
    return Objection(
        f"setting `{name}` may not be set {_to(value)}",
        f"Under this policy it goes up to {shown} (limits.{limit}).",
        f"Set it to {shown} or less; a policy may give more.",
    )


def _amount(name: str, value: str | None) -> float | None:
    if value is None:
        return None
    read: Callable[[str], re.Match[str] | None] = _SIZE.match if name == "work_mem" else _NUMBER.match
    match = read(value)
    if match is None:
        return None
    return int(match[1]) * _SIZES[match[2]] if name == "work_mem" else float(match[1])


def shown_size(size: int) -> str:
    """As PostgreSQL writes sizes."""
    for unit, length in (("GB", 2**30), ("MB", 2**20), ("kB", 2**10)):
        if size % length == 0:
            return f"{size // length}{unit}"
    return f"{size}B"


def setting_name(name: str) -> tuple[str, str]:
    """A setting's name in its parts: the first is empty but for those of extensions and applications."""
    schema, _, own = name.rpartition(".")
    return schema, own
