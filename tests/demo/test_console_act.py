"""The demo with the console: an agent asks, Ana approves, its query runs and is stopped; and it asks again."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

from rich.console import Console

from pgjit.demo import by_hand, review_act
from pgjit.demo.console_act import ConsoleAct, news_of
from pgjit.demo.database import DemoDatabase
from pgjit.demo.stage import Stage
from pgjit.demo.world import World
from tests.e2e.signed_in import ConsoleClient
from tests.e2e.test_http_api import client
from tests.run.rows import table
from tests.run.waiting import until, until_it_holds

CONFIG = {"api": {"roles": {"admin": [review_act.ADMINS]}}}
PAUSES = {review_act.POLICY: timedelta(seconds=1), by_hand.POLICY: timedelta(seconds=1)}


@table(
    ("line", "news"),
    [
        ("INSERT 0 1", "approved"),
        ("ERROR:  canceling statement due to user request", "stopped"),
        ("ERROR:  relation `public.customers` may not be used for DELETE under this policy", None),
        ("FATAL:  window was revoked", "is over"),
        ("psql: error: connection to server failed: FATAL:  request was refused", "refused"),
        (" 0:09:59", None),
        ("", None),
    ],
)
def test_what_a_line_of_psql_means(line: str, news: str | None) -> None:
    found = news_of(line)
    assert (found is None) if news is None else news in str(found)


@asynccontextmanager
async def acting(world: World) -> AsyncIterator[ConsoleAct]:
    act = ConsoleAct(Stage(world, Console(file=io.StringIO())))
    task = asyncio.create_task(act.play())
    try:
        yield act
        assert not task.done()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_ana_approves_watches_and_stops_the_agent(tmp_path: Path, database: DemoDatabase) -> None:
    async with World(folder=tmp_path, database=database, config=CONFIG, cooldown=PAUSES, console=True) as world:
        ana = review_act.add_person(world)
        by_hand.write_files(world, ana)
        assert world.console_url in by_hand.invitation(world, timedelta(seconds=1))
        async with (
            acting(world) as act,
            ConsoleClient(world) as browser,
            client(world, world.people_token(ana)) as api,
        ):

            async def listed(path: str) -> Any:
                return (await api.get(path)).json()["items"]

            [asked] = await until_it_holds(lambda: listed("requests?state=pending"))
            assert (asked["policy"], asked["reason"]) == (review_act.POLICY, review_act.REASON)
            assert (await browser.sign_in(ana)).status_code == 303
            assert review_act.POLICY in (await browser.get("/policies")).text
            approval = {"ttl_seconds": 300, "digest": asked["digest"]}
            assert (await api.post(f"requests/{asked['id']}/approve", json=approval)).status_code == 200
            await until(lambda: any("approved" in each for each in act.said))
            [window] = await listed(f"windows?state=open&policy={review_act.POLICY}")
            assert f"/windows/{window['id']}" in (await browser.get(f"/policies/{review_act.POLICY}")).text
            reason = {"reason": "wrong table"}
            assert (await api.post(f"windows/{window['id']}/revoke", json=reason)).status_code == 200
            await until(lambda: any("is over" in each for each in act.said))
            [again] = await until_it_holds(lambda: listed("requests?state=pending"))
            assert again["identity"]["oid"] != asked["identity"]["oid"]
