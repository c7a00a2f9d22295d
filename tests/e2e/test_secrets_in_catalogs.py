"""Secrets in options and settings are refused by their values: where none lies, nothing is."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from pgjit.demo.database import DemoDatabase
from tests.e2e.served_versions import OLDEST_AND_NEWEST, open_under, serve_script, verdicts
from tests.e2e.worlds import change

HARMLESS = """
    CREATE FOREIGN DATA WRAPPER remote;
    CREATE SERVER branch FOREIGN DATA WRAPPER remote OPTIONS (host 'branch', dbname 'shop', port '5432');
    CREATE USER MAPPING FOR pgjit_agent SERVER branch OPTIONS (user 'shop');
    GRANT USAGE ON FOREIGN SERVER branch TO pgjit_agent;
    CREATE FOREIGN TABLE stock (id int OPTIONS (column_name 'no')) SERVER branch OPTIONS (table_name 'stock');
    CREATE SUBSCRIPTION prices CONNECTION 'host=prices' PUBLICATION p WITH (connect = false);
    ALTER ROLE pgjit_agent INHERIT;
    GRANT pg_read_all_data, pg_read_all_settings TO pgjit_agent;
    ALTER ROLE pgjit_writer SET work_mem = '8MB';
    CREATE FUNCTION calm() RETURNS int LANGUAGE sql SET work_mem = '1MB' AS 'SELECT 1';
"""
COLUMNS = {  # a statement on each column that may hold a secret, and what puts one there
    "SELECT srvoptions FROM pg_foreign_server": "ALTER SERVER branch OPTIONS (ADD passcode 'x')",
    "SELECT option_value FROM information_schema.foreign_server_options": "",
    "SELECT s.* FROM pg_foreign_server s": "",
    "SELECT umoptions FROM pg_user_mappings": "ALTER USER MAPPING FOR pgjit_agent SERVER branch OPTIONS "
    "(ADD password 'x')",
    "SELECT option_value FROM information_schema.user_mapping_options": "",
    "SELECT ftoptions FROM pg_foreign_table": "ALTER FOREIGN TABLE stock OPTIONS (ADD program 'cat')",
    "SELECT * FROM information_schema.foreign_table_options": "",
    "SELECT attfdwoptions FROM pg_attribute": "ALTER FOREIGN TABLE stock ALTER id OPTIONS (ADD api_key 'x')",
    "SELECT a.* FROM pg_attribute a": "",
    "SELECT * FROM information_schema.column_options": "",
    "SELECT fdwoptions FROM pg_foreign_data_wrapper": "ALTER FOREIGN DATA WRAPPER remote OPTIONS (ADD token 'x')",
    "SELECT subconninfo FROM pg_subscription": "ALTER SUBSCRIPTION prices CONNECTION 'host=prices password=x'",
    "SELECT * FROM pg_subscription": "",
    "SELECT rolconfig FROM pg_roles": "ALTER ROLE pgjit_writer SET app.key = 'x'",
    "SELECT * FROM pg_roles": "",
    "SELECT r FROM pg_roles r": "",
    "SELECT useconfig FROM pg_user": "",
    "SELECT setconfig FROM pg_db_role_setting": "",
    "SELECT unnest(setconfig) FROM pg_db_role_setting": "",
    "SELECT proconfig FROM pg_proc": "ALTER FUNCTION calm() SET app.key = 'x'",
    "SELECT pg_get_functiondef('calm'::regproc)": "",
    "SELECT setting FROM pg_settings": "ALTER SYSTEM SET primary_conninfo = 'host=x password=x'",
    "SELECT reset_val FROM pg_settings": "",
    "SELECT name, current_setting(name) FROM pg_settings": "",
    "SELECT * FROM pg_show_all_settings()": "",
    "SHOW ALL": "",
}
OTHERS = [
    "SELECT srvname, srvtype FROM pg_foreign_server", "SELECT srvname, usename FROM pg_user_mappings",
    "SELECT ftrelid::regclass FROM pg_foreign_table", "SELECT attname, attnum FROM pg_attribute",
    "SELECT fdwname FROM pg_foreign_data_wrapper", "SELECT subname FROM pg_subscription",
    "SELECT rolname, rolsuper FROM pg_roles", "SELECT usename FROM pg_user", "SELECT proname, prosrc FROM pg_proc",
    "SELECT setdatabase, setrole FROM pg_db_role_setting", "SELECT name, unit, short_desc FROM pg_settings",
    "SELECT option_name FROM information_schema.foreign_server_options",
    "SHOW max_connections", "SELECT current_setting('server_version_num')",
]  # fmt: skip
SETTINGS = {
    "SHOW app.key": "secret-setting",
    "SELECT current_setting('app.key', true)": "secret-setting",
    "SELECT current_setting('app.' || 'key', true)": "secret-setting",
    "SELECT ('app.key'::text).current_setting": "secret-setting",
    "SELECT t.current_setting FROM unnest(ARRAY['app.key']) t": "secret-setting",
    "SHOW primary_conninfo": "secret-setting",
    "SHOW archive_command": "secret-setting",
    "SHOW app.tenant": "ran",
    "SELECT current_setting('app.tenant')": "ran",
}


@pytest.fixture(params=OLDEST_AND_NEWEST)
def database(request: pytest.FixtureRequest) -> Iterator[DemoDatabase]:
    with serve_script(request.param, HARMLESS) as served:
        yield served


async def test_where_no_secret_lies_nothing_is_refused_and_where_one_does_that_column_alone(
    database: DemoDatabase, tmp_path: Path
) -> None:
    asked = [*COLUMNS, *OTHERS]
    for folder in ("before", "after"):
        (tmp_path / folder).mkdir()
    async with open_under(database, tmp_path / "before") as world:
        assert await verdicts(world, asked) == dict.fromkeys(asked, "ran")
    for secret in filter(None, COLUMNS.values()):
        await change(database, secret)
    await change(database, "SELECT pg_reload_conf()")
    async with open_under(database, tmp_path / "after") as world:
        found = await verdicts(world, asked)
    refused = {sql for sql, said in found.items() if said in ("secret-catalog", "secret-setting")}
    assert refused == set(COLUMNS)
    assert {said for sql, said in found.items() if sql not in refused} == {"ran"}


async def test_a_server_that_shows_less_is_no_reason_to_refuse_a_session(
    database: DemoDatabase, tmp_path: Path
) -> None:
    await change(database, "REVOKE pg_read_all_data FROM pgjit_agent; ALTER ROLE pgjit_agent SET app.key = 'x'")
    for relation in ("pg_db_role_setting", "pg_user_mappings", "pg_foreign_server", "pg_roles", "pg_foreign_table"):
        await change(database, f"REVOKE SELECT ON pg_catalog.{relation} FROM PUBLIC")
    async with open_under(database, tmp_path) as world:
        asked = ["SELECT id FROM orders LIMIT 1", "SELECT a.* FROM pg_attribute a", "SHOW work_mem"]
        assert await verdicts(world, asked) == dict.fromkeys(asked, "ran")
        kept = "SELECT setconfig FROM pg_db_role_setting"
        assert await verdicts(world, [kept]) == {kept: "secret-catalog"}


async def test_settings_of_an_application_are_shown_where_the_policy_names_them(
    database: DemoDatabase, tmp_path: Path
) -> None:
    await change(database, "ALTER ROLE pgjit_agent SET app.key = 'x'; ALTER ROLE pgjit_agent SET app.tenant = '7'")
    async with open_under(database, tmp_path) as world:  # its policy names app.tenant
        assert await verdicts(world, list(SETTINGS)) == SETTINGS
