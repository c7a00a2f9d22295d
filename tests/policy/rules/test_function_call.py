"""The lists of what is built in agree with the catalogs of real servers."""

from __future__ import annotations

import json
import shutil
import tempfile
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

from pgjit.demo.database import DemoDatabase
from pgjit.policy.builtin_functions import BUILTIN_FUNCTIONS
from pgjit.policy.rules import attribute_call, foreign_operator, foreign_type
from pgjit.policy.secret_columns import INSTEAD, SECRETS
from tests.run.processes import finish
from tests.run.rows import table

SAFE_VOLATILE = frozenset(
    """
    array_sample array_shuffle bernoulli clock_timestamp current_query gen_random_uuid pg_advisory_unlock_all
    pg_collation_actual_version pg_control_checkpoint pg_control_init pg_control_recovery pg_control_system
    pg_get_aios pg_get_sequence_data pg_get_wait_events pg_lock_status pg_prepared_xact
    pg_safe_snapshot_blocking_pids pg_sequence_last_value pg_show_replication_origin_status pg_stat_clear_snapshot
    pg_stat_get_io pg_stat_get_recovery_prefetch pg_stat_get_xact_blocks_fetched pg_stat_get_xact_blocks_hit
    pg_stat_get_xact_function_calls pg_stat_get_xact_function_self_time pg_stat_get_xact_function_total_time
    pg_stat_get_xact_numscans pg_stat_get_xact_tuples_deleted pg_stat_get_xact_tuples_fetched
    pg_stat_get_xact_tuples_hot_updated pg_stat_get_xact_tuples_inserted pg_stat_get_xact_tuples_newpage_updated
    pg_stat_get_xact_tuples_returned pg_stat_get_xact_tuples_updated pg_xact_status setseed txid_status
    pg_blocking_pids pg_current_wal_flush_lsn pg_current_wal_insert_lsn pg_current_wal_lsn pg_database_size
    pg_indexes_size pg_is_in_recovery pg_is_wal_replay_paused pg_jit_available pg_last_wal_receive_lsn
    pg_last_wal_replay_lsn pg_last_xact_replay_timestamp pg_notification_queue_usage pg_partition_ancestors
    pg_partition_tree pg_relation_size pg_table_size pg_tablespace_size pg_total_relation_size random random_normal
    system timeofday uuidv4 uuidv7
""".split()
)
METHODS = frozenset({"bernoulli", "system"})  # of TABLESAMPLE: they take an argument of type internal

QUERY = r"""
SELECT json_build_object(
  'functions', (SELECT json_agg(json_build_object('name', proname, 'volatile', provolatile = 'v',
      'arguments', ARRAY(SELECT t::regtype::text FROM unnest(proargtypes) t), 'result', prorettype::regtype::text))
    FROM pg_proc WHERE pronamespace = 'pg_catalog'::regnamespace AND oid < 16384),
  'types', (SELECT json_agg(typname) FROM pg_type WHERE typnamespace = 'pg_catalog'::regnamespace AND typrelid = 0),
  'columns', (SELECT json_agg(DISTINCT name) FROM (
    SELECT n FROM pg_proc, unnest(proargnames, proargmodes) u(n, m)
    WHERE pronamespace = 'pg_catalog'::regnamespace AND oid < 16384 AND m IN ('o', 'b', 't') AND n <> ''
    UNION SELECT attname::text FROM pg_attribute a JOIN pg_class c ON c.oid = attrelid
    WHERE relnamespace IN ('pg_catalog'::regnamespace, 'information_schema'::regnamespace) AND attnum > 0
    AND NOT attisdropped AND relkind IN ('r', 'v', 'c') AND c.oid < 16384) u(name)),
  'callable', (SELECT json_agg(DISTINCT proname) FROM pg_proc
    WHERE pronamespace = 'pg_catalog'::regnamespace AND pronargs >= 1
    AND (pronargs - pronargdefaults <= 1 OR provariadic <> 0)),
  'callable_with_a_row', (SELECT json_agg(DISTINCT proname) FROM pg_proc
    WHERE pronamespace = 'pg_catalog'::regnamespace AND pronargs >= 1
    AND (pronargs - pronargdefaults <= 1 OR provariadic <> 0)
    AND proargtypes[0]::regtype::text IN ('record', '"any"', 'anyelement', 'anynonarray', 'anycompatible',
      'anycompatiblenonarray')),
  'viewed', (SELECT json_agg(json_build_object('view', relname, 'function', proname)) FROM (
    SELECT DISTINCT c.relname, p.proname FROM pg_class c,
      regexp_matches(pg_get_viewdef(c.oid), '([a-z_0-9]+)\(', 'g') AS m
      JOIN pg_proc p ON p.proname = m[1] AND p.pronamespace = 'pg_catalog'::regnamespace
    WHERE c.relkind = 'v' AND c.relnamespace = 'pg_catalog'::regnamespace AND c.oid < 16384) AS v),
  'operators', (SELECT json_agg(DISTINCT oprname) FROM pg_operator WHERE oprnamespace = 'pg_catalog'::regnamespace))
"""


def _catalogs(version: int) -> dict[str, Any]:
    folder = Path(tempfile.mkdtemp(prefix="pgjit-fn-"))  # short: the path of a Unix socket has a limit
    database = DemoDatabase()
    try:
        database.start(folder, version)
        question = " ".join(QUERY.split())
        shown = finish(database.psql_path, "-XAt", database.superuser_dsn, input=question, seconds=60)
        assert shown.status == 0, shown.err
        found: dict[str, Any] = json.loads(shown.out)
        return found
    finally:
        database.stop()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def catalogs() -> list[dict[str, Any]]:
    return [_catalogs(16), _catalogs(18)]


@pytest.fixture(scope="module")
def listed(catalogs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [row for each in catalogs for row in each["functions"] if row["name"] in BUILTIN_FUNCTIONS]


def test_the_list_is_sorted_and_names_nothing_twice() -> None:
    lines = (files("pgjit.policy") / "builtin_functions.txt").read_text("utf-8").splitlines()
    names = [line for line in lines if not line.startswith("#")]

    assert names == sorted(set(names))


def test_every_listed_function_is_built_in(listed: list[dict[str, Any]]) -> None:
    assert {row["name"] for row in listed} == BUILTIN_FUNCTIONS


def test_listed_functions_are_not_volatile_but_for_known_ones(listed: list[dict[str, Any]]) -> None:
    assert {row["name"] for row in listed if row["volatile"]} == SAFE_VOLATILE


def test_no_listed_function_is_one_that_only_the_server_calls(listed: list[dict[str, Any]]) -> None:
    inward = {"internal", "cstring"}
    results = {"trigger", "event_trigger", "internal", "cstring", "fdw_handler", "index_am_handler"}
    found = {row["name"] for row in listed if inward & set(row["arguments"]) or row["result"] in results}

    assert found - METHODS == set()


@table(
    "name",
    """
    pg_read_file pg_ls_dir pg_stat_file lo_get lo_create query_to_xml table_to_xml database_to_xml cursor_to_xml
    ts_stat ts_rewrite set_config pg_sleep pg_advisory_lock pg_terminate_backend pg_notify nextval setval txid_current
    pg_current_xact_id pg_export_snapshot pg_input_is_valid pg_input_error_info domain_in record_in array_in
    pg_hba_file_rules pg_show_all_file_settings pg_ident_file_mappings fmgr_sql_validator pg_logical_emit_message
    pg_switch_wal pg_promote pg_reload_conf pg_stat_reset currval pg_config pg_get_backend_memory_contexts
    pg_get_shmem_allocations pg_ls_logdir pg_current_logfile pg_stat_force_next_flush
    """.split(),
)
def test_a_function_that_does_more_than_compute_or_read_is_not_listed(name: str) -> None:
    assert name not in BUILTIN_FUNCTIONS


def test_what_a_readable_system_view_calls_may_be_called(catalogs: list[dict[str, Any]]) -> None:
    found = {(row["view"], row["function"]) for each in catalogs for row in each["viewed"]}
    called = {function for view, function in found if view not in INSTEAD and ("pg_catalog", view) not in SECRETS}

    assert called - BUILTIN_FUNCTIONS == set()


def test_types_and_operators_are_those_of_the_catalogs(catalogs: list[dict[str, Any]]) -> None:
    types = {name for each in catalogs for name in each["types"]}
    operators = {name for each in catalogs for name in each["operators"]}

    assert types >= foreign_type.BUILTIN
    assert operators == foreign_operator.BUILTIN


def test_names_that_may_be_taken_out_of_a_value_are_the_catalogs_and_none_is_a_function_to_be_kept_from(
    catalogs: list[dict[str, Any]],
) -> None:
    columns = {name for each in catalogs for name in each["columns"]}
    callable_ = {name for each in catalogs for name in each["callable"]}

    assert columns == attribute_call.COLUMNS
    assert attribute_call.COLUMNS & callable_ <= BUILTIN_FUNCTIONS


def test_the_functions_that_take_any_row_are_those_of_the_catalogs(catalogs: list[dict[str, Any]]) -> None:
    callable_ = {name for each in catalogs for name in each["callable_with_a_row"]}

    assert callable_ - BUILTIN_FUNCTIONS == attribute_call.ROW_FUNCTIONS
