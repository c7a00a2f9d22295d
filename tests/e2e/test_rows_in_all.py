"""What limit-required bounds, with real servers: no statement that passes gives more rows of a table than it says."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from pgjit.demo.database import DemoDatabase
from tests.e2e.served_versions import OLDEST_AND_NEWEST, open_under, serve_script, verdicts

SCRIPT = """
    CREATE TABLE people (id int PRIMARY KEY, boss int, name text);
    INSERT INTO people SELECT i, nullif(i / 2, 0), 'p' || i FROM generate_series(1, 500) AS i;
    GRANT SELECT ON people TO pgjit_agent;
"""
BOUNDED = "  rules:\n    limit-required: {at_most: 100}\n"
_STEP = "SELECT n + 1, acc || (SELECT name FROM people ORDER BY id OFFSET n LIMIT 1)"
_TREE = (
    "WITH RECURSIVE tree (depth, id, path) AS ((SELECT 0, id, name FROM people WHERE boss IS NULL LIMIT 1) UNION ALL "
)
CASES = {
    "SELECT percentile_disc(ARRAY(SELECT n / 500.0 FROM generate_series(0, 500) n)) WITHIN GROUP (ORDER BY name) "
    "FROM people": "limit-required",
    "SELECT percentile_disc(ARRAY[0.25, 0.5, 0.75]) WITHIN GROUP (ORDER BY name) FROM people": "ran",
    f"WITH RECURSIVE r (n, acc) AS (SELECT 0, '' UNION ALL {_STEP} FROM r WHERE n < 499) "
    "SELECT acc FROM r ORDER BY n DESC LIMIT 1": "limit-required",
    f"WITH RECURSIVE r (n, acc) AS (SELECT 0, '' UNION ALL {_STEP} FROM r WHERE n < 49) "
    "SELECT acc FROM r ORDER BY n DESC LIMIT 1": "ran",
    "(SELECT name FROM people LIMIT 60) UNION ALL (SELECT name FROM people OFFSET 60 LIMIT 60)": "limit-required",
    "(SELECT name FROM people LIMIT 50) UNION ALL (SELECT name FROM people OFFSET 50 LIMIT 50)": "ran",
    "SELECT x.name FROM generate_series(0, 499) n, LATERAL (SELECT name FROM people OFFSET n LIMIT 1) x": (
        "limit-required"
    ),
    "SELECT (SELECT name FROM people OFFSET n LIMIT 1) FROM generate_series(0, 499) n": "limit-required",
    "SELECT (SELECT name FROM people OFFSET n LIMIT 1) FROM generate_series(0, 499) n LIMIT 100": "ran",
    "SELECT boss, count(*) FROM people GROUP BY boss": "limit-required",
    "SELECT boss, count(*) FROM people GROUP BY boss LIMIT 100": "ran",
    "SELECT count(*), sum(boss), avg(id) FROM people": "ran",
    f"{_TREE} SELECT depth + 1, p.id, path || '/' || p.name FROM people p JOIN tree ON p.boss = tree.id "
    "WHERE depth < 8) SELECT * FROM tree ORDER BY path LIMIT 100": "ran",
    f"{_TREE} SELECT depth + 1, p.id, path || '/' || p.name FROM people p JOIN tree ON p.boss = tree.id) "
    "SELECT * FROM tree ORDER BY path LIMIT 100": "limit-required",
}  # fmt: skip


@pytest.fixture(params=OLDEST_AND_NEWEST)
def database(request: pytest.FixtureRequest) -> Iterator[DemoDatabase]:
    with serve_script(request.param, SCRIPT) as served:
        yield served


async def test_no_way_around_a_limit_is_let_pass_and_what_is_within_it_runs(
    database: DemoDatabase, tmp_path: Path
) -> None:
    async with open_under(database, tmp_path, BOUNDED) as world:
        assert await verdicts(world, list(CASES)) == CASES
