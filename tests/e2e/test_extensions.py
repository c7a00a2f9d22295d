"""The list of extensions against the catalogs of servers that have them."""

from __future__ import annotations

import asyncio

import pytest

from pgjit.demo.database import DemoDatabase
from pgjit.policy.extensions import Extension, is_current, known_extensions
from pgjit.sql.catalog import Catalog, Function
from tests.sql.snapshots import read_snapshot

Functions = list[tuple[str, str, Function]]


@pytest.fixture(scope="module")
def known(contrib_database: DemoDatabase) -> Catalog:
    return asyncio.run(read_snapshot(contrib_database.superuser_dsn, "public"))


def _functions(catalog: Catalog, extension: str) -> Functions:
    return [
        (schema, name, one)
        for schema, names in catalog.functions.items()
        for name, some in names.items()
        for one in some
        if one.extension == extension
    ]


def _reason(extension: Extension, schema: str, name: str, one: Function) -> str | None:
    return extension.reason(schema, name, ", ".join(one.arguments), computes=one.computes)


def _installed(catalog: Catalog) -> list[Extension]:
    return [one for name, one in known_extensions().items() if name in catalog.extensions]


def test_each_extension_that_comes_with_the_server_is_on_the_list_in_its_version(known: Catalog) -> None:
    assert set(known.extensions) - set(known_extensions()) <= {"plpgsql"}
    assert [one.name for one in _installed(known) if not is_current(one, known.extensions[one.name])] == []


def test_each_signature_on_the_list_is_one_that_the_server_has(known: Catalog) -> None:
    missing = []
    for extension in _installed(known):
        functions = _functions(known, extension.name)
        for signature in (*extension.left, *(extension.only or ()), *extension.also):
            found = [
                one for schema, name, one in functions if signature.means(schema, name, ", ".join(one.arguments))
            ]
            if not found:
                missing.append((extension.name, signature.name.pattern))
    assert set(missing) - NOT_EVERYWHERE == set()


NOT_EVERYWHERE = {  # newer than the oldest server that is tried
    ("pg_buffercache", "pg_buffercache_summary"), ("pg_buffercache", "pg_buffercache_usage_counts"),
    ("pgcrypto", "fips_mode"),
}  # fmt: skip


def test_what_sets_something_runs_text_or_reaches_out_stays_closed(known: Catalog) -> None:
    dangerous = {
        "crosstab", "crosstab2", "connectby", "set_limit", "xpath_table", "xslt_process", "dblink", "dblink_exec",
        "dblink_connect", "dblink_connect_u", "dblink_get_pkey", "populate_record", "pg_stat_statements_reset",
        "pgstattuple", "pgrowlocks", "pg_prewarm", "autoprewarm_dump_now", "get_raw_page", "heap_force_kill",
        "pg_truncate_visibility_map", "pg_file_write", "postgres_fdw_disconnect_all", "bt_index_parent_check",
        "pg_get_wal_records_info",
    }  # fmt: skip
    opened = {
        name
        for extension in _installed(known)
        if not extension.closed
        for schema, name, one in _functions(known, extension.name)
        if _reason(extension, schema, name, one) is None
    }
    assert opened & dangerous == set()
    assert {
        "similarity",
        "unaccent",
        "digest",
        "levenshtein",
        "uuid_generate_v4",
        "l2_distance",
        "akeys",
    } - opened <= (set() if "vector" in known.extensions else {"l2_distance"})


def test_an_operator_whose_function_stays_closed_does_too(known: Catalog) -> None:
    wrong = []
    for extension in _installed(known):
        closed = {
            name
            for schema, name, one in _functions(known, extension.name)
            if _reason(extension, schema, name, one) is not None
        }
        wrong += [
            (extension.name, name)
            for names in known.operators.values()
            for name, some in names.items()
            for one in some
            if one.extension == extension.name
            and one.function.name in closed
            and not extension.closed
            and name not in extension.operators
        ]
    assert wrong == []


def test_a_volatile_function_is_opened_where_the_list_says_so_and_nowhere_else(known: Catalog) -> None:
    wrong = [
        (extension.name, name)
        for extension in _installed(known)
        for schema, name, one in _functions(known, extension.name)
        if _reason(extension, schema, name, one) is None
        and (one.volatility == "v" or one.security_definer)
        and not any(each.means(schema, name, ", ".join(one.arguments)) for each in extension.also)
    ]
    assert wrong == []
