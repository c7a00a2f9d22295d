"""Which tests are `long`: they take less than a minute each, but too much for a command that everybody runs all day.

Decides that by name, in one list: campaigns, kills of real processes, and the test of time-outs, which has to wait
for them. A `long` test is `slow` as well, so that `make test` leaves it out. `make test-long` and `.ci/run` run them.
"""

from __future__ import annotations

from pathlib import Path

import pytest

__all__ = ["LONG_TESTS"]

# A file below tests/, or a test in it, or one case of a test; the beginning of the name is enough.
LONG_TESTS = (
    "audit/proof/test_killed_writer.py",
    "audit/reading/test_page.py::test_each_command_of_the_page_answers",
    "audit/telemetry/test_export_process.py::test_a_collector_that_hangs_holds_up_neither_the_parent_nor_its_end",
    "console/test_every_field.py::test_every_field_of_a_form_takes_every_value",
    "console/test_every_field.py::test_every_path_takes_every_value",
    "console/test_every_field.py::test_every_query_takes_every_value",
    "e2e/test_battery.py::test_each_statement_that_only_reads_has_the_result_that_it_has_directly[contrib-18]",
    "e2e/test_denied_differential.py::test_what_shows_a_denied_value_is_refused_and_what_shows_none_is_not[contrib-18]",
    "e2e/test_dump_and_restore.py",
    "e2e/test_everyday_psql.py::test_every_command_of_psql_is_answered_as_by_the_server",
    "e2e/test_kill.py",
    "e2e/test_kill_under_load.py",
    "e2e/test_killed_node.py",
    "e2e/test_killed_workers.py",
    "e2e/test_left_behind.py",
    "e2e/test_many_at_once.py",
    "e2e/test_means_of_ending.py::test_a_control_login_of_its_own_is_out_of_reach",
    "e2e/test_means_of_ending.py::test_an_older_server_that_does_not_know_every_setting",
    "e2e/test_means_of_ending.py::test_an_end_needs_no_slot_that_the_server_has_left",
    "e2e/test_means_of_ending.py::test_the_end_comes_in_spite_of",
    "e2e/test_moving_address.py",
    "e2e/test_nothing_changes.py::test_no_function_of_the_server_changes_anything",
    "e2e/test_nothing_changes.py::test_no_statement_of_a_grammar_changes_anything",
    "e2e/test_secrets_in_catalogs.py::test_where_no_secret_lies_nothing_is_refused_and_where_one_does_that_column_alone",
    "e2e/test_stalls.py::test_no_statement_keeps_the_others_waiting",
    "e2e/test_tokens.py::test_psql_logs_in_with_a_token_of_every_source",
    "e2e/test_tool_statements.py::test_what_a_tool_asks_by_itself_has_the_servers_own_rows",
    "e2e/test_workers.py::test_workers_are_replaced_and_no_client_is_refused",
    "e2e/test_two_nodes.py::test_the_shorter_policy_wins_whatever_the_clock_of_a_node",
    "e2e/test_wrong_statements.py::test_each_rewrite_of_an_expression_runs",
    "faults/test_floods.py::test_both_sides_write_at_once",
    "faults/test_floods.py::test_notices_notifications_and_settings_flow_in_order",
    "faults/test_floods.py::test_small_messages_that_record_much_are_not_recorded_all_at_once",
    "faults/test_killed_life.py::test_a_node_that_is_killed_leaves_nothing_that_another_one_does_not_end",
    "fuzz/test_fuzz.py::test_a_short_run_finds_nothing",
    "grants/stores/test_notifying_sql.py::TestNotificationsOnPostgres::test_any_number_that_wait_hold_up_no_other",
    "policy/test_large_catalog.py::test_what_is_judged_on_the_event_loop_takes_so_many_calls_at_most",
    "run/test_deadlines.py",
    "sql/resolve/test_unwritten_calls.py::test_any_value_in_any_place_calls_nothing_that_is_not_found",
    "sql/shape/test_row_limits.py::test_what_is_judged_on_the_event_loop_takes_so_many_calls_at_most",
)

_TESTS = Path(__file__).parents[1]


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if _name(item).startswith(LONG_TESTS) and item.get_closest_marker("slow") is None:
            item.add_marker(pytest.mark.long)
            item.add_marker(pytest.mark.slow)


def _name(item: pytest.Item) -> str:
    """The test's name below tests/, as LONG_TESTS writes it; empty where it is elsewhere."""
    if not item.path.is_relative_to(_TESTS):
        return ""
    return "::".join([item.path.relative_to(_TESTS).as_posix(), *item.nodeid.split("::")[1:]])
