"""Two workers on a PostgreSQL store serve a person who signed in at either of them."""

from __future__ import annotations

import ssl
from pathlib import Path

import httpx

from pgjit.demo.database import DemoDatabase
from tests.bench.ports import free_port
from tests.e2e.served_workers import ADMINS, WorkersWorld
from tests.e2e.signed_in import ConsoleClient
from tests.e2e.test_console_login import person
from tests.e2e.worlds import POLICIES, open_world
from tests.fakes.store_server import StoreServer
from tests.run.waiting import until_it_holds


class ConsoleWorkersWorld(WorkersWorld):
    def _write_config(self) -> Path:
        self._console = True
        port = free_port()
        self.console_url = f"https://localhost:{port}"
        self._config = {**self._config, "api": {"listen": {"port": port}, "roles": {"admin": ADMINS}}}
        return super()._write_config()


async def _page(world: ConsoleWorkersWorld, cookie: str) -> int:
    """The status of a page over a connection of its own: the kernel chooses the worker."""
    tls = ssl.create_default_context(cafile=str(world.certificates.authority))
    async with httpx.AsyncClient(base_url=world.console_url, verify=tls, timeout=60, trust_env=False) as http:
        page = await http.get("/requests", headers={"cookie": f"__Host-pgjit={cookie}"})
    return page.status_code


async def test_every_worker_serves_who_signed_in_at_one(
    tmp_path: Path, database: DemoDatabase, store_server: StoreServer
) -> None:
    config = {
        "node": "a",
        "workers": 2,
        "store": {"kind": "postgres", "url": store_server.url(), "stale_after": 30},
        "api": {},
    }
    async with open_world(database, tmp_path, config=config, kind=ConsoleWorkersWorld, policies=POLICIES) as world:
        assert isinstance(world, ConsoleWorkersWorld)
        ana = person(world, "Ana", ADMINS)
        async with world.served(), ConsoleClient(world) as client:
            assert (await client.sign_in(ana)).status_code == 303
            cookie = next(each.value for each in client.http.cookies.jar if each.name == "__Host-pgjit")
            assert cookie is not None

            async def by_both() -> bool:
                assert await _page(world, str(cookie)) == 200
                calls = world.records("api.called")
                return (
                    sum(any(each["path"] == "/api/v1/requests" for each in of_one) for of_one in calls.values()) == 2
                )

            await until_it_holds(by_both)
            assert (await client.post("/sign-out")).status_code == 303
            assert {await _page(world, str(cookie)) for _ in range(12)} == {303}
        rows = store_server.execute("SELECT count(*) FROM sign_ins")
        assert rows == [(0,)]
