"""Writes to every row are refused where the server's own NOT NULL makes a condition true of all of them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from pgjit.demo.database import DemoDatabase
from tests.e2e.served_versions import OLDEST_AND_NEWEST, open_under, serve_script, verdicts
from tests.e2e.worlds import ask, change

SCRIPT = """
    CREATE TABLE tasks (id int PRIMARY KEY, title text NOT NULL, done timestamptz, owner text);
    INSERT INTO tasks SELECT i, 'task ' || i, NULL, NULL FROM generate_series(1, 5) AS i;
    GRANT ALL ON tasks TO pgjit_agent;
    ALTER ROLE pgjit_agent SET default_transaction_read_only = off;
"""
WRITING = "  access: read-write\n"
CASES = {
    "DELETE FROM tasks WHERE id IS NOT NULL": "where-required",
    "UPDATE tasks SET owner = 'me' WHERE NOT (title IS NULL)": "where-required",
    "UPDATE tasks SET owner = 'me' WHERE coalesce(done, now()) IS NOT NULL OR id IS NOT NULL": "where-required",
    "DELETE FROM tasks WHERE done IS NOT NULL": "ran",
    "DELETE FROM tasks WHERE owner IS NOT NULL": "ran",
}


REFUSED = "DELETE FROM tasks WHERE owner IS NOT NULL"


@pytest.fixture(params=OLDEST_AND_NEWEST)
def database(request: pytest.FixtureRequest) -> Iterator[DemoDatabase]:
    with serve_script(request.param, SCRIPT) as served:
        yield served


async def test_a_column_that_is_never_null_decides_nothing_by_not_being_null(
    database: DemoDatabase, tmp_path: Path
) -> None:
    for folder in ("before", "after"):
        (tmp_path / folder).mkdir()
    async with open_under(database, tmp_path / "before", WRITING) as world:
        assert await verdicts(world, list(CASES)) == CASES
    await change(database, "UPDATE tasks SET owner = 'x'; ALTER TABLE tasks ALTER owner SET NOT NULL")
    async with open_under(database, tmp_path / "after", WRITING) as world:
        assert await verdicts(world, [REFUSED]) == {REFUSED: "where-required"}
    assert await ask(database, "SELECT count(*) FROM tasks WHERE owner = 'x'") == 5
