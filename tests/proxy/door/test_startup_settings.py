"""A client may set at startup what SET may do under its policy; pgjit's own settings stay stricter."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from pgjit.errors import AccessRefused
from pgjit.policy.policy import Policy, Preset, SettingCaps
from pgjit.proxy.door.startup_request import StartupRequest
from pgjit.proxy.door.startup_settings import check_settings
from pgjit.proxy.server_settings import session_settings
from tests.fakes.both_ends import NOW
from tests.fakes.policies import TARGET, access, policy
from tests.fixtures.terms import terms

END = NOW + timedelta(minutes=10)


def under(preset: Preset = Preset.READ_ONLY, **given: object) -> Policy:
    statements = terms(access=preset.value, **given)
    return replace(policy(), statements=replace(statements, longest=timedelta(minutes=30), caps=SettingCaps()))


def opening(**settings: str) -> StartupRequest:
    return StartupRequest(
        "ann", "shop", None, None, {name.replace("__", "."): value for name, value in settings.items()}
    )


def refused(chosen: Policy, **settings: str) -> AccessRefused | None:
    try:
        check_settings(opening(**settings), chosen, TARGET)
    except AccessRefused as fault:
        return fault
    return None


ACCEPTED = {
    "jit": "off", "statement_timeout": "30s", "default_transaction_read_only": "on", "client_min_messages": "warning",
    "bytea_output": "hex", "row_security": "on", "standard_conforming_strings": "on", "lock_timeout": "5000",
    "idle_in_transaction_session_timeout": "60000", "search_path": "app,public", "role": "none", "work_mem": "64MB",
    "session_authorization": "reader", "default_transaction_isolation": "serializable", "plan_cache_mode": "auto",
    "enable_seqscan": "off", "hnsw__ef_search": "40", "backslash_quote": "safe_encoding", "datestyle": "ISO, DMY",
    "extra_float_digits": "3", "timezone": "UTC", "transaction_read_only": "on", "idle_session_timeout": "30min",
}  # fmt: skip
REFUSED = {
    "search_path": "evil", "role": "postgres", "session_preload_libraries": "x", "local_preload_libraries": "x",
    "default_transaction_read_only": "off", "statement_timeout": "0", "row_security": "off", "app__tenant_id": "1",
    "standard_conforming_strings": "off", "session_replication_role": "replica", "work_mem": "1GB",
    "session_authorization": "postgres", "options": "-crole=postgres", "transaction_read_only": "off",
    "client_connection_check_interval": "0", "idle_session_timeout": "31min", "no_such_setting": "1",
}  # fmt: skip


@pytest.mark.parametrize(("name", "value"), ACCEPTED.items())
def test_a_startup_message_may_set_what_set_may_set(name: str, value: str) -> None:
    assert refused(under(), **{name: value}) is None
    assert refused(under(Preset.READ_WRITE), **{name: value}) is None
    assert refused(under(Preset.FULL), **{name: value}) is None


@pytest.mark.parametrize(("name", "value"), REFUSED.items())
def test_a_setting_that_set_may_not_change_is_refused_by_name(name: str, value: str) -> None:
    fault = refused(under(), **{name: value})
    assert fault is not None
    fields = fault.fields()
    assert (fields["C"], fields["R"]) == ("28000", "pgjit:startup-parameter")
    assert name.replace("__", ".") in fault.message
    assert fault.detail
    assert fault.hint


def test_a_policy_opens_and_denies_settings_at_the_start_as_well() -> None:
    opened = under(allow=[{"settings": ["app.*"]}])
    assert refused(opened, app__colour="blue") is None
    denied = under(deny=[{"settings": ["jit"]}])
    assert refused(denied, jit="off") is not None


@pytest.mark.parametrize(
    ("name", "value", "accepted"),
    [
        ("search_path", "anything", True), ("session_replication_role", "replica", True), ("work_mem", "9GB", True),
        ("role", "postgres", False), ("statement_timeout", "0", False), ("standard_conforming_strings", "off", False),
    ],
)  # fmt: skip
def test_under_full_access_only_the_reserved_settings_are_refused(name: str, value: str, accepted: bool) -> None:
    assert (refused(under(Preset.FULL), **{name: value}) is None) is accepted


@pytest.mark.parametrize(
    ("asked", "preset", "given"),
    [
        ({"statement_timeout": "30s"}, Preset.READ_ONLY, {"statement_timeout": "30000"}),
        ({"statement_timeout": "20min"}, Preset.READ_ONLY, {"statement_timeout": "602000"}),
        ({"idle_session_timeout": "1min"}, Preset.READ_ONLY, {"idle_session_timeout": "60000"}),
        ({"lock_timeout": "5s"}, Preset.READ_ONLY, {"lock_timeout": "5s"}),
        ({"default_transaction_read_only": "TRUE"}, Preset.READ_WRITE, {"default_transaction_read_only": "on"}),
        ({"default_transaction_read_only": "off"}, Preset.READ_WRITE, {"default_transaction_read_only": "off"}),
        ({"search_path": "app,public"}, Preset.READ_ONLY, {"search_path": "app, public"}),
        ({"search_path": "mine"}, Preset.FULL, {"search_path": "mine"}),
        ({"role": "none"}, Preset.READ_ONLY, {"role": "none"}),
        ({"row_security": "on"}, Preset.READ_ONLY, {"row_security": "on"}),
        ({"jit": "off", "work_mem": "1MB"}, Preset.READ_ONLY, {"jit": "off", "work_mem": "1MB"}),
    ],
)
def test_the_stricter_of_both_is_given_to_the_server(
    asked: dict[str, str], preset: Preset, given: dict[str, str]
) -> None:
    found = session_settings(access(preset, END), opening(**asked), "s_1", 18, NOW)
    assert {name: found[name] for name in given} == given


@pytest.mark.parametrize("name", ["session_authorization", "backslash_quote", "transaction_read_only"])
def test_a_setting_with_its_pinned_value_is_not_forwarded(name: str) -> None:
    found = session_settings(access(Preset.READ_ONLY, END), opening(**{name: ACCEPTED[name]}), "s_1", 18, NOW)
    assert name not in found
