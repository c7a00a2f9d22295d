"""The trial set-up of docker/ at work, without an engine: its own files, but for addresses and folders.

What setup.sh makes, two nodes with two workers each on a PostgreSQL store, and HAProxy in front, which sends the
PROXY protocol: clients and a browser come in through it, and one node is stopped while they do.
"""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import signal
import ssl
import sys
import tempfile
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
import yaml

from pgjit.demo.database import DemoDatabase
from tests.bench.ports import free_port
from tests.docker.balancer import Balancer, Place, lasting_port
from tests.run.processes import finish, own
from tests.run.programs import need
from tests.run.waiting import until

pytestmark = [pytest.mark.foreign, pytest.mark.live, pytest.mark.timeout(900)]

ROOT = Path(__file__).parents[2]
DOCKER = ROOT / "docker"
_SECRET = "only-for-trying-out"
_LOCAL = "127.0.0.1"
_SECONDS = 200  # for a node, several processes, to start


@dataclass
class Node:
    process: Any
    place: Place
    journal: Path

    def is_ready(self) -> bool | None:
        """None if it does not answer."""
        try:
            with urllib.request.urlopen(f"http://{_LOCAL}:{self.place.admin}/readyz", timeout=5) as answer:
                return bool(answer.status == 200)
        except urllib.error.HTTPError:
            return False
        except OSError:
            return None


@dataclass
class SetUp:
    folder: Path
    nodes: list[Node]
    balancer: Balancer
    token: str

    @property
    def conninfo(self) -> str:
        return (
            f"host=localhost hostaddr={_LOCAL} port={self.balancer.port} dbname=prod-replica user=jit-schema-checks "
            f"sslmode=verify-full sslrootcert={self.folder}/secrets/ca.crt connect_timeout=30"
        )

    def browser(self) -> httpx.AsyncClient:
        """A browser's cookies, which are of a host with all of its ports; it follows no redirect by itself."""
        tls = ssl.create_default_context(cafile=str(self.folder / "secrets/ca.crt"))
        url = f"https://localhost:{self.balancer.console}"
        return httpx.AsyncClient(base_url=url, verify=tls, timeout=60, trust_env=False)


def _make_secrets(folder: Path) -> None:
    """By the script itself, in a folder of ours, and without other users."""
    (folder / "secrets").mkdir()
    script = (DOCKER / "setup.sh").read_text("utf-8").replace("/tmp/", f"{folder}/")
    script = script.replace(" /secrets", f" {folder}/secrets").replace('"/secrets', f'"{folder}/secrets')
    script = re.sub(r">/secrets", f">{folder}/secrets", script)
    done = finish("sh", "-c", re.sub(r"^chown .*\n", "", script, flags=re.MULTILINE), seconds=60)
    assert done.status == 0, done.err


def _login_with(database: DemoDatabase, folder: Path) -> None:
    """The roles of the set-up get the passwords that the script made, and the store its role and its database."""
    made = {
        name: (folder / f"secrets/proxy/{name}-password").read_text().strip() for name in ("agent", "writer", "store")
    }
    with psycopg.connect(database.superuser_dsn, autocommit=True) as connection:
        connection.execute(f"ALTER ROLE pgjit_agent PASSWORD '{made['agent']}'")
        connection.execute(f"ALTER ROLE pgjit_writer PASSWORD '{made['writer']}'")
        connection.execute(f"CREATE ROLE pgjit_store LOGIN PASSWORD '{made['store']}'")
        connection.execute("CREATE DATABASE pgjit OWNER pgjit_store")
        [(path,)] = connection.execute("SHOW hba_file").fetchall()
        rules = Path(path)
        rules.write_text(f"local pgjit pgjit_store scram-sha-256\n{rules.read_text()}")
        connection.execute("SELECT pg_reload_conf()")


def _configured(
    folder: Path, number: int, place: Place, database: DemoDatabase, authority: str, console: str
) -> Path:
    """The configuration of the nodes, with addresses of this machine. `console`: its address at the balancer."""
    text = (DOCKER / "pgjit.yaml").read_text("utf-8").replace("/secrets", f"{folder}/secrets")
    content = yaml.safe_load(text.replace("/var/lib/pgjit", f"{folder}/node-{number}"))
    assert content["workers"] == 2
    content |= {"node": f"pgjit-{number}", "policies": str(ROOT / "policies")}
    content["listen"] = {"host": _LOCAL, "port": place.port, "proxy_protocol": {"from": _LOCAL}}
    content["admin"] = {"host": _LOCAL, "port": place.admin}
    content["api"]["listen"] = {"host": _LOCAL, "port": place.api}
    content["api"]["console"]["url"] = console
    content["identity"]["authority"] = authority
    for section in content["connections"].values():
        del section["sslrootcert"]
        section |= {"host": str(database.socket_dir), "port": database.port, "sslmode": "disable"}
        section["database"] = database.database
    server = f"host={database.socket_dir}&port={database.port}&sslmode=disable"
    content["store"]["url"] = f"postgresql://pgjit_store@/pgjit?{server}"
    (folder / f"node-{number}").mkdir()
    path = folder / f"node-{number}.yaml"
    path.write_text(yaml.safe_dump(content))
    return path


def _emulated(authority: str, console: str) -> dict[str, Any]:
    """The settings of the stand-in. Browsers reach it under another name than the nodes, as in the set-up."""
    text = (DOCKER / "emulator.yaml").read_text("utf-8").replace("https://localhost:8432", console)
    settings = yaml.safe_load(text)
    assert settings["url"] != settings["browser_url"]
    return dict(settings | {"url": authority, "browser_url": authority.replace(_LOCAL, "localhost")})


def _token(authority: str, settings: dict[str, Any]) -> str:
    form = {
        "grant_type": "client_credentials", "client_id": settings["apps"][0]["client_id"], "client_secret": _SECRET,
        "scope": f"{settings['audience']}/.default",
    }  # fmt: skip
    url = f"{authority}/{settings['tenant']}/oauth2/v2.0/token"
    with urllib.request.urlopen(url, urllib.parse.urlencode(form).encode(), timeout=30) as answer:
        return str(json.load(answer)["access_token"])


@pytest.fixture
def set_up() -> Iterator[SetUp]:
    haproxy, _ = need("haproxy", "openssl")
    pgjit = Path(sys.executable).with_name("pgjit")
    folder = Path(tempfile.mkdtemp(prefix="pgjit-t-"))
    database = DemoDatabase()
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, folder)
        (folder / "database").mkdir()
        database.start(folder / "database")
        stack.callback(database.stop)
        _make_secrets(folder)
        _login_with(database, folder)
        authority = f"http://{_LOCAL}:{free_port()}"
        places = [Place(lasting_port(), lasting_port(), lasting_port()) for _ in range(2)]
        balancer = Balancer(folder, places)
        console = f"https://localhost:{balancer.console}"
        settings = _emulated(authority, console)
        (folder / "emulator.yaml").write_text(yaml.safe_dump(settings))
        log = stack.enter_context((folder / "log").open("w"))
        emulated = authority.rpartition(":")[2]
        stack.enter_context(
            own(pgjit, "emulator", "--config", folder / "emulator.yaml", "--port", emulated, stdout=log.fileno(),
                stderr=log.fileno())
        )  # fmt: skip
        nodes = []
        for number, place in enumerate(places, 1):
            path = _configured(folder, number, place, database, authority, console)
            journal = Path(yaml.safe_load(path.read_text())["journal"]["folder"])
            created = finish(pgjit, "store", "upgrade", "--only-create", "--config", path, seconds=60)
            assert created.status == 0, created.err
            process = stack.enter_context(
                own(pgjit, "serve", "--config", path, stdout=log.fileno(), stderr=log.fileno())
            )
            nodes.append(node := Node(process, place, journal))
            # One after the other: on a busy machine two that start at once keep each other from the store.
            asyncio.run(until(lambda node=node: node.process.poll() is not None or node.is_ready(), _SECONDS))  # type: ignore[misc]
            assert process.poll() is None, (folder / "log").read_text("utf-8")[-5000:]
        stack.enter_context(own(haproxy, "-f", balancer.configuration, stdout=log.fileno(), stderr=log.fileno()))
        yield SetUp(folder, nodes, balancer, _token(authority, settings))


def _opened(node: Node) -> list[dict[str, Any]]:
    """The sessions that the journals of its workers have."""
    texts = [path.read_text("utf-8") for path in node.journal.glob("*/0*.jsonl")]
    assert len(texts) == 2
    records = [json.loads(line) for text in texts for line in text.splitlines()]
    return [record for record in records if record["type"] == "session.opened"]


async def _connected(set_up: SetUp) -> psycopg.AsyncConnection[Any]:
    return await psycopg.AsyncConnection.connect(set_up.conninfo, password=set_up.token, autocommit=True)


async def _sign_in(browser: httpx.AsyncClient) -> None:
    """As Ana, of whom the README speaks, at the page of the stand-in."""
    started = await browser.get("/sign-in/start")
    assert started.status_code == 303, started.text
    page = await browser.get(place := started.headers["location"])
    [ana] = re.findall(r'name="user" value="([^"]+)"><b>Ana Visser</b>', page.text)
    answer = await browser.post(place, data={"user": ana})
    assert answer.status_code == 302, answer.text
    signed_in = await browser.get(answer.headers["location"])
    assert signed_in.status_code == 303, signed_in.text


async def test_clients_and_browsers_reach_both_nodes_and_a_stop_of_one_refuses_nobody(set_up: SetUp) -> None:
    await set_up.balancer.until_up()
    async with set_up.browser() as browser:
        await _sign_in(browser)
        await _open_pages(browser, "", *(f"https://localhost:{node.place.api}" for node in set_up.nodes))
        await _stop_one_while_clients_come(set_up)
        await _open_pages(browser, "")


async def _open_pages(browser: httpx.AsyncClient, *places: str) -> None:
    """At the balancer (an empty text), or at one node."""
    for place in places:
        for page in ("requests", "live", "audit"):
            opened = await browser.get(f"{place}/{page}")
            assert (opened.status_code, "ana@example.com" in opened.text) == (200, True), opened.text


async def _stop_one_while_clients_come(set_up: SetUp) -> None:
    sessions = [await _connected(set_up) for _ in range(6)]
    for session in sessions:
        await session.execute("SELECT count(*) FROM orders")
        await session.close()
    by_node = [_opened(node) for node in set_up.nodes]
    assert all(by_node), "one node serves all"
    for record in by_node[0] + by_node[1]:
        assert record["source"] != record["balancer"]["source"]  # the client's port, and the balancer's
    first, second = set_up.nodes
    first.process.send_signal(signal.SIGTERM)
    stopped = asyncio.create_task(asyncio.to_thread(first.process.wait, 120))
    served = 0
    while not stopped.done():
        session = await _connected(set_up)
        await session.execute("SELECT 1")
        await session.close()
        served += 1
    assert await stopped == 0
    assert served > 3
    assert second.is_ready()
