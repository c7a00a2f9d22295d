"""The demo with the console: an agent asks, Ana approves, its query runs and is stopped; and it asks again."""

from __future__ import annotations

import io
import re
from datetime import timedelta
from pathlib import Path

from rich.console import Console

from pgjit.demo import by_hand, review_act
from pgjit.demo.console_act import ConsoleAct, news_of
from pgjit.demo.database import DemoDatabase
from pgjit.demo.stage import Stage
from pgjit.demo.window_act import LONG_QUERY
from pgjit.demo.world import World
from tests.demo.acting import acting
from tests.e2e.signed_in import ConsoleClient
from tests.run.rows import table
from tests.run.waiting import until, until_it_holds

CONFIG = {"api": {"roles": {"admin": [review_act.ADMINS]}}}
_REQUEST = r'href="(/requests/r_[a-z0-9]+)"'
_HIDDEN = 'name="{}" value="([^"]+)"'
_RUNNING = rf'(?s){re.escape(LONG_QUERY)}.*?href="(/windows/w_[a-z0-9]+)"'
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


async def test_ana_approves_watches_and_stops_the_agent(tmp_path: Path, database: DemoDatabase) -> None:
    async with World(folder=tmp_path, database=database, config=CONFIG, cooldown=PAUSES, console=True) as world:
        ana = review_act.add_person(world)
        by_hand.write_files(world, ana)
        invitation = by_hand.invitation(world, timedelta(seconds=1))
        assert world.console_url in invitation
        assert ("has no TLS" in invitation) == world.emulator.url.startswith("http://")
        async with (
            acting(ConsoleAct(Stage(world, Console(file=io.StringIO())))) as act,
            ConsoleClient(world) as browser,
        ):
            signed_in = await browser.sign_in(ana)
            assert (signed_in.status_code, signed_in.headers["location"]) == (303, "/")

            async def found(path: str, pattern: str) -> str | None:
                match = re.search(pattern, (await browser.get(path)).text)
                return None if match is None else match[1]

            request = str(await until_it_holds(lambda: found("/", _REQUEST)))
            page = (await browser.get(request)).text
            assert review_act.REASON in page
            fields = {name: value for name in ("digest", "asked") for value in re.findall(_HIDDEN.format(name), page)}
            approved = await browser.post(f"{request}/approve", **fields, cap="half")
            assert (approved.status_code, approved.headers["location"]) == (303, request)
            await until(lambda: any("approved" in each for each in act.said))
            window = await until_it_holds(lambda: found("/live", _RUNNING))
            assert f'href="{window}"' in (await browser.get(f"/policies/{review_act.POLICY}")).text
            assert (await browser.post(f"{window}/revoke", reason="wrong table")).status_code == 303
            await until(lambda: any("is over" in each for each in act.said))
            again = await until_it_holds(lambda: found("/", _REQUEST))
            assert again != request
