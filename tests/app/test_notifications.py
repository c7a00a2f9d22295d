"""A started application sends what is stored, also what an earlier process left."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from pgjit.app import App
from pgjit.app.from_config import new_store
from pgjit.config import load_config
from pgjit.demo.certificates import make_certificates
from pgjit.grants.lock import Lock
from pgjit.grants.scope import Scope, ScopeKind
from tests.contracts.store import NOW
from tests.grants.review_cast import ADMIN

pytestmark = pytest.mark.live

TEXT = """\
node: n1
listen: {{port: 0}}
admin: {{port: 0}}
tls: {{certificate: server.crt, key: server.key}}
identity: {{tenant: 7c9e6679-7425-40de-944b-e07fc1f90ae7, audience: 3f2504e0-4f89-41d3-9a0c-0305e82c3301,
  authority: "http://127.0.0.1:{port}"}}
policies: policies
connections: {{shop: {{database: shop, user: ann, host: 127.0.0.1, port: 1}}}}
notify: {{channels: {{ops: {{webhook: {{url: "http://127.0.0.1:{port}/hook", secret: {{file: key}}}}}}}}}}
"""
POLICY = """\
policy: reader
connection: shop
group: 11111111-1111-4111-8111-111111111111
grant: on-request
ttl: 30m
record: true
statements: {access: read-only}
"""


async def test_what_was_stored_before_and_after_the_start_arrives(tmp_path: Path) -> None:
    arrived: asyncio.Queue[dict[str, Any]] = asyncio.Queue()

    async def hook(request: web.Request) -> web.Response:
        assert request.headers["webhook-signature"].startswith("v1,")
        await arrived.put(await request.json())
        return web.Response()

    served = web.Application()
    served.router.add_post("/hook", hook)
    runner = web.AppRunner(served, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    make_certificates(tmp_path)
    (tmp_path / "policies").mkdir()
    (tmp_path / "policies" / "reader.yaml").write_text(POLICY)
    (tmp_path / "key").write_text("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    (tmp_path / "pgjit.yaml").write_text(TEXT.format(port=runner.addresses[0][1]))
    config = load_config(tmp_path / "pgjit.yaml")
    try:
        store = new_store(config)
        await store.open()
        await store.set_lock(_lock("before"))
        await store.close()
        async with App(config) as app:
            first = await asyncio.wait_for(arrived.get(), 30)
            await app._store.set_lock(_lock("after"))
            second = await asyncio.wait_for(arrived.get(), 30)
        assert [each["data"]["target"] for each in (first, second)] == ["before", "after"]
        assert json.dumps(first).count("lock.set") == 1
    finally:
        await runner.cleanup()


def _lock(policy: str) -> Lock:
    return Lock(id=f"l_{policy}", scope=Scope(ScopeKind.POLICY, policy), reason="x", set_by=ADMIN, set_at=NOW)
