"""Data that a policy denies, through what is made of it: generated columns, statistics, catalogs that repeat it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from pgjit.demo.database import DemoDatabase
from tests.e2e.served_versions import OLDEST_AND_NEWEST, open_under, serve_script, verdicts

SCRIPT = """
    CREATE TABLE people (
        id int PRIMARY KEY, name text NOT NULL, ssn text NOT NULL,
        masked text GENERATED ALWAYS AS ('***' || substr(ssn, 8)) STORED,
        initial text GENERATED ALWAYS AS (substr(name, 1, 1)) STORED
    );
    CREATE TABLE former () INHERITS (people);
    CREATE TABLE codes (LIKE people INCLUDING GENERATED, CHECK (true));
    CREATE TABLE beside (birth text GENERATED ALWAYS AS (left(ssn, 6)) STORED) INHERITS (people);
    CREATE TABLE visits (id int, guest text, at date) PARTITION BY LIST (guest);
    CREATE TABLE visits_of_ann PARTITION OF visits FOR VALUES IN ('ann');
    INSERT INTO people (id, name, ssn)
        SELECT i, 'p' || i % 3, '123-45-67' || i % 10 FROM generate_series(1, 100) AS i;
    ALTER TABLE people ADD COLUMN token text DEFAULT 'tok-en';
    CREATE VIEW people_masked AS SELECT id, masked FROM people;
    CREATE VIEW people_names AS SELECT id, initial FROM people;
    CREATE STATISTICS on_people (mcv) ON name, ssn FROM people;
    CREATE INDEX by_end ON people (right(ssn, 2));
    GRANT SELECT ON ALL TABLES IN SCHEMA public TO pgjit_agent;
"""
VIRTUAL = """
    ALTER TABLE people ADD COLUMN ending text GENERATED ALWAYS AS (right(ssn, 2)) VIRTUAL,
                       ADD COLUMN joined text GENERATED ALWAYS AS (name || ssn) VIRTUAL
"""
DENIED = "  deny:\n    - columns: [public.people.ssn, public.people.token, public.visits.guest]\n"

SHOWN = {
    "SELECT masked FROM people": "denied",
    "SELECT max(p.masked) FROM people p": "denied",
    "SELECT id FROM people WHERE masked = '***679'": "denied",
    "SELECT id FROM people ORDER BY masked": "denied",
    "SELECT masked FROM former": "denied",
    "SELECT birth FROM beside": "denied",
    "SELECT id FROM people_masked": "denied",
    "COPY (SELECT masked FROM people) TO STDOUT": "denied",
    "SELECT * FROM people": "star-on-denied",
    "SELECT most_common_vals FROM pg_stats WHERE tablename = 'people'": "secret-catalog",
    "SELECT histogram_bounds FROM pg_stats WHERE tablename = 'by_end'": "secret-catalog",
    "SELECT most_common_vals FROM pg_stats_ext": "secret-catalog",
    "SELECT histogram_bounds FROM pg_stats_ext_exprs": "secret-catalog",
    "SELECT * FROM pg_stats": "secret-catalog",
    "SELECT attname, attmissingval FROM pg_attribute": "secret-catalog",
    "SELECT relname, pg_get_expr(relpartbound, oid) FROM pg_class": "secret-catalog",
    "SELECT pg_get_partition_constraintdef('visits_of_ann'::regclass)": "secret-catalog",
    "SELECT ssn FROM codes": "ran",  # another table, which the policy does not name
    "SELECT initial FROM people": "ran",
    "SELECT id, initial FROM people_names": "ran",
    "SELECT initial FROM former": "ran",
    "SELECT attname, null_frac, n_distinct, avg_width, correlation FROM pg_stats WHERE tablename = 'people'": "ran",
    "SELECT statistics_name, n_distinct, dependencies FROM pg_stats_ext": "ran",
    "SELECT attname, atttypid, attnotnull FROM pg_attribute WHERE attrelid = 'people'::regclass": "ran",
    "SELECT relname, relkind FROM pg_class": "ran",
}
SHOWN_VIRTUAL = {
    "SELECT ending FROM people": "denied",
    "SELECT ending FROM former": "denied",
    "SELECT id FROM people WHERE joined LIKE '%67%'": "denied",
}


@pytest.fixture(scope="module", params=OLDEST_AND_NEWEST)
def server(request: pytest.FixtureRequest) -> Iterator[tuple[str, DemoDatabase]]:
    with serve_script(request.param, SCRIPT, "VACUUM (ANALYZE)", *_virtual(request.param)) as served:
        yield request.param, served


def _virtual(name: str) -> tuple[str, ...]:
    return (VIRTUAL,) if name == "embedded-18" else ()


async def test_what_is_made_of_a_denied_column_is_denied_as_well(
    server: tuple[str, DemoDatabase], tmp_path: Path
) -> None:
    name, database = server
    wanted = SHOWN | (SHOWN_VIRTUAL if name == "embedded-18" else {})
    async with open_under(database, tmp_path, DENIED) as world:
        assert await verdicts(world, list(wanted)) == wanted


async def test_nothing_of_it_is_refused_where_the_policy_denies_nothing(
    server: tuple[str, DemoDatabase], tmp_path: Path
) -> None:
    name, database = server
    wanted = SHOWN | (SHOWN_VIRTUAL if name == "embedded-18" else {})
    async with open_under(database, tmp_path) as world:
        assert await verdicts(world, list(wanted)) == dict.fromkeys(wanted, "ran")
