"""Every column that a server has, its catalogs' included, asked for a denied value and for secrets: what shows one is
refused, and what shows none is not, but for the columns that are known to hold such values elsewhere.

The values are looked for past pgjit, as the same login role; the decision is the policy's with the server's catalog.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from typing import NamedTuple

import asyncpg
import pytest

from pgjit.demo.database import DemoDatabase
from pgjit.policy.decision import Allow
from pgjit.policy.evaluate import evaluate
from pgjit.policy.policy import Policy
from pgjit.policy.secret_columns import INSTEAD, SECRETS
from pgjit.server.credential import FixedSecret
from pgjit.sql.catalog import Catalog
from pgjit.sql.parse import read_message
from tests.e2e.served_versions import OLDEST_AND_NEWEST, serve_script
from tests.fixtures.terms import policy_of, terms
from tests.sql.snapshots import read_target, target_of

SCRIPT = """
    CREATE TABLE people (
        id int PRIMARY KEY, name text NOT NULL, ssn text NOT NULL,
        same text GENERATED ALWAYS AS (ssn) STORED, longer text GENERATED ALWAYS AS (name || ' ' || ssn) STORED,
        initial text GENERATED ALWAYS AS (substr(name, 1, 1)) STORED
    );
    CREATE TABLE staff (grade int, both_of_them text GENERATED ALWAYS AS (ssn || grade) STORED) INHERITS (people);
    CREATE TABLE cards (id int, card text, shown text GENERATED ALWAYS AS (card) STORED) PARTITION BY LIST (id);
    CREATE TABLE cards_1 PARTITION OF cards FOR VALUES IN (1);
    INSERT INTO people (id, name, ssn) SELECT i, 'name ' || i % 3, 'quet' || 'zal' FROM generate_series(1, 50) AS i;
    INSERT INTO staff (id, name, ssn, grade) SELECT i, 'staff', 'quet' || 'zal', 1 FROM generate_series(51, 60) AS i;
    INSERT INTO cards VALUES (1, 'quet' || 'zal');
    ALTER TABLE people ADD COLUMN token text DEFAULT 'quet' || 'zal';
    ALTER TABLE people ADD COLUMN harmless text DEFAULT 'well';
    CREATE VIEW people_same AS SELECT id, same FROM people;
    CREATE VIEW people_over AS SELECT id, upper(same) AS above, lower(same) AS below FROM people_same;
    CREATE MATERIALIZED VIEW people_kept AS SELECT id, longer, initial FROM people;
    CREATE VIEW people_names AS SELECT id, name, initial FROM people;
    CREATE STATISTICS on_people (mcv) ON name, ssn FROM people;
    CREATE INDEX by_end ON people ((ssn || 'x'));
    CREATE FOREIGN DATA WRAPPER remote OPTIONS (token 'quetzal');
    CREATE SERVER branch FOREIGN DATA WRAPPER remote OPTIONS (host 'branch', secret 'quetzal');
    CREATE USER MAPPING FOR pgjit_agent SERVER branch OPTIONS (user 'shop', password 'quetzal');
    GRANT USAGE ON FOREIGN SERVER branch TO pgjit_agent;
    CREATE SUBSCRIPTION prices CONNECTION 'host=prices password=quetzal' PUBLICATION p WITH (connect = false);
    CREATE FUNCTION calm() RETURNS int LANGUAGE sql SET app.key = 'quetzal' AS 'SELECT 1';
    ALTER ROLE pgjit_writer SET app.key = 'quetzal';
    ALTER DATABASE shop SET app.key = 'quetzal';
    ALTER SYSTEM SET primary_conninfo = 'host=x password=quetzal';
    ALTER ROLE pgjit_agent INHERIT;
    GRANT pg_read_all_data, pg_read_all_settings TO pgjit_agent;
"""
VIRTUAL = """
    ALTER TABLE people ADD COLUMN at_once text GENERATED ALWAYS AS (ssn || '!') VIRTUAL,
                       ADD COLUMN harmless_too text GENERATED ALWAYS AS (name || '!') VIRTUAL;
    CREATE VIEW people_at_once AS SELECT id, at_once, harmless_too FROM people
"""
FOREIGN = """
    CREATE FOREIGN TABLE stock (id int OPTIONS (api_key 'quetzal')) SERVER branch OPTIONS (passcode 'quetzal');
    ANALYZE people; ANALYZE cards; SELECT pg_reload_conf()
"""
DENIED: dict[str, object] = {"deny": [{"columns": ["public.people.ssn", "public.people.token", "public.cards.card"]}]}
ALL = """
    SELECT n.nspname AS schema, c.relname AS relation, a.attname AS "column"
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_attribute a ON a.attrelid = c.oid
    WHERE n.nspname IN ('public', 'pg_catalog', 'information_schema') AND c.relkind IN ('r', 'p', 'v', 'm')
      AND a.attnum > 0 AND NOT a.attisdropped AND has_column_privilege(c.oid, a.attnum, 'SELECT')
    ORDER BY 1, 2, a.attnum
"""


class Place(NamedTuple):
    schema: str
    relation: str
    column: str


def reading(places: Sequence[Place], value: str = '"{}"') -> str:
    """A query of these columns of one relation."""
    columns = ", ".join(value.format(place.column) for place in places)
    return f'SELECT {columns} FROM {places[0].schema}."{places[0].relation}"'


async def showing(connection: asyncpg.Connection, places: Sequence[Place]) -> set[Place]:
    """Those of one relation where a value can be seen. Views of functions that the role may not call show nothing."""
    try:
        shown = await connection.fetchrow(reading(places, """bool_or("{}"::text ILIKE '%quet' || 'zal%')"""))
    except asyncpg.PostgresError:  # of one of the columns: each by itself
        one_by_one = [await showing(connection, [place]) for place in places if len(places) > 1]
        return set().union(*one_by_one)
    assert shown is not None
    return {place for place, is_shown in zip(places, shown, strict=True) if is_shown}


def is_known(place: Place) -> bool:
    return place.column in SECRETS.get(place[:2], {}) or place.relation in INSTEAD


def allowed(policy: Policy, places: Sequence[Place], catalog: Catalog) -> set[Place]:
    """Those of one relation that may be read: all in one query, or each by itself."""
    if isinstance(evaluate(policy, read_message(reading(places)), catalog), Allow):
        return set(places)
    return set().union(*(allowed(policy, [place], catalog) for place in places if len(places) > 1))


def by_relation(places: Iterable[Place]) -> Iterator[list[Place]]:
    return (list(of_one) for _, of_one in groupby(places, lambda place: place[:2]))


@pytest.fixture(params=OLDEST_AND_NEWEST)
def database(request: pytest.FixtureRequest) -> Iterator[DemoDatabase]:
    virtual = (VIRTUAL,) if request.param == "embedded-18" else ()
    with serve_script(request.param, *SCRIPT_PARTS, *virtual, *FOREIGN.split(";")) as served:
        yield served


SCRIPT_PARTS = tuple(filter(str.strip, SCRIPT.split(";\n")))


async def test_what_shows_a_denied_value_is_refused_and_what_shows_none_is_not(database: DemoDatabase) -> None:
    policy = dataclasses.replace(policy_of(), statements=terms(**DENIED))
    target = target_of(database.superuser_dsn, "public")
    login = dataclasses.replace(target, user=database.user, credential=FixedSecret(database.password))
    catalog = await read_target(login)
    connection = await asyncpg.connect(
        host=str(database.socket_dir), port=database.port, database=database.database,
        user=database.user, password=database.password,
    )  # fmt: skip
    try:
        places = [Place(**row) for row in await connection.fetch(ALL)]
        seen = set().union(*[await showing(connection, of_one) for of_one in by_relation(places)])
    finally:
        await connection.close()
    assert len(places) > 1500
    assert len(seen) > 25
    assert set().union(*(allowed(policy, [place], catalog) for place in seen)) == set()
    views = {place[:2] for place in seen if place.relation.startswith("people_")}  # one is refused as a whole
    harmless = [p for p in places if p not in seen and not is_known(p) and p[:2] not in views]
    assert set(harmless) == set().union(*(allowed(policy, of_one, catalog) for of_one in by_relation(harmless)))
