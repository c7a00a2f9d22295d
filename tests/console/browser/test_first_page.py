"""What a first look costs, with 10,000 windows and 1,000 requests in the store: bytes, requests, calls of the API.

None of it grows with them. Times are reported (`record_property`) and compared with nothing.
"""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import closing
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Response

from pgjit.demo.database import DemoDatabase
from pgjit.demo.emulator import RegisteredPrincipal
from tests.console.browser.chromium import need_chromium
from tests.console.browser.conftest import Visit
from tests.console.browser.town import Town, open_town
from tests.console.browser.visitor import Visitor
from tests.e2e.worlds import records

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]

MOST_BYTES = 100_000
WINDOWS, OPEN, REQUESTS = 10_000, 1_000, 1_000


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def town(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> AsyncIterator[Town]:
    need_chromium()
    database: DemoDatabase = request.getfixturevalue("database")
    async with open_town(database, Path(tmp_path_factory.mktemp("town"))) as opened:
        yield opened


def multiply(store: Path, table: str, count: int, changes: str) -> None:
    """Copies of the first row of a table, each of another identity."""
    with closing(sqlite3.connect(store, timeout=60)) as connection:
        names = [name for _, name, *_ in connection.execute(f"PRAGMA table_info({table})") if name != "seq"]
        fixed = dict(part.split(" = ") for part in changes.split("; "))
        values = ", ".join(fixed.get(name, f'"{name}"') for name in names)
        columns = ", ".join(f'"{name}"' for name in names)
        connection.execute(
            f"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {count}) "
            f"INSERT INTO {table} ({columns}) SELECT {values} FROM n, (SELECT * FROM {table} ORDER BY seq LIMIT 1)"
        )
        connection.commit()


async def look(town: Town, visit: Visit, person: RegisteredPrincipal, path: str) -> tuple[int, int, list[str], float]:
    """Bytes of HTML, style and scripts, requests, calls of the API, and the fewest milliseconds to the first byte."""
    visitor = await visit(person)
    before = len(records(town.world, "api.called"))
    answers: list[Response] = []

    def note(answer: Response) -> None:
        answers.append(answer)

    visitor.page.on("response", note)
    await visitor.open(path)
    own = [each for each in answers if each.request.resource_type in _COUNTED]
    size = sum([len(await each.body()) for each in own])
    calls = [str(each["path"]) for each in records(town.world, "api.called")[before:]]
    took = [await first_byte(visitor)]
    for _ in range(_AGAIN):
        await visitor.open(path)
        took.append(await first_byte(visitor))
    return size, len(own), [call for call in calls if not call.endswith("/events")], min(took)


async def first_byte(visitor: Visitor) -> float:
    script = (
        "() => { const [e] = performance.getEntriesByType('navigation'); return e.responseStart - e.requestStart; }"
    )
    return float(await visitor.page.evaluate(script))


_AGAIN = 4
_COUNTED = ("document", "stylesheet", "script")


async def test_a_first_look_costs_no_more_with_10_000_windows(
    town: Town, visit: Visit, record_property: Callable[[str, object], None]
) -> None:
    looks = [(town.ana, "/requests"), (town.dora, "/live"), (town.dora, "/windows"), (town.odile, "/windows")]
    few = {(who.oid, path): await look(town, visit, who, path) for who, path in looks}
    store = town.world.folder / "pgjit.sqlite3"
    another = "id = 'w_many' || i; oid = 'many-' || i; display = 'agent ' || i"
    multiply(store, "windows", OPEN, another)
    multiply(
        store,
        "windows",
        WINDOWS - OPEN,
        f"{another.replace('many', 'over')}; ended_at = opened_at; end_reason = 'ttl'; current = NULL",
    )
    multiply(store, "requests", REQUESTS, "id = 'r_many' || i; oid = 'many-' || i")
    for who, path in looks:
        size, requests, calls, took = await look(town, visit, who, path)
        _, requests_before, calls_before, _ = few[who.oid, path]
        record_property(f"{who.display} {path}", f"{size} bytes, {took:.0f} ms to the first byte")
        print(f"{who.display} {path}: {size} bytes, {took:.0f} ms to the first byte, {len(calls)} calls")
        assert size < MOST_BYTES
        assert (requests, calls) == (requests_before, calls_before)
        assert len(calls) <= 4
