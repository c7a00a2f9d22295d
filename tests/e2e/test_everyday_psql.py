"""What psql asks behind its own commands and the tab key is answered as by the server.

There are a foreign table, a user mapping with a password and a subscription with one; none that the login may see.
"""

from __future__ import annotations

import asyncio
import os
import pty
import re
import select
import shutil
import subprocess
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import pytest

from pgjit.demo.client import write_program
from pgjit.demo.database import DemoDatabase
from pgjit.demo.world import World
from tests.e2e.everyday import FIXTURES, direct_conninfo, open_everyday
from tests.e2e.matrix.clients import embedded
from tests.e2e.worlds import Record, add_reader, records

_SECONDS = 300
_MARK = "<<next>>"
_OVER = "all of them were completed"


def program(version: int | None, folder: Path) -> Path:
    found = shutil.which("psql") if version is None else write_program(folder, embedded("psql", version))
    if found is None:
        pytest.skip("no psql with TLS is to be had")
    return Path(found)


def commands() -> list[str]:
    return (FIXTURES / "commands.txt").read_text("utf-8").splitlines()


async def run(psql: Path, asked: list[str], conninfo: str, **given: str) -> list[str]:
    """What psql says on its standard error to each of the commands."""
    script = "".join(f"\\warn {_MARK}\n{command}\n" for command in asked)
    process = await asyncio.create_subprocess_exec(
        str(psql), "-X", "-q", "-v", "VERBOSITY=verbose", conninfo,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE,
        env=environment(given),
    )  # fmt: skip
    try:
        _, err = await asyncio.wait_for(process.communicate(script.encode()), _SECONDS)
    except TimeoutError:
        process.kill()
        raise
    said = [part.strip() for part in err.decode().split(_MARK)[1:]]
    assert len(said) == len(asked), err.decode()[-2000:]
    return said


def environment(given: Mapping[str, str]) -> dict[str, str]:
    own = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
    return own | {"PGCONNECT_TIMEOUT": "15", "PSQL_EDITOR": "true"} | dict(given)


def states(said: str) -> list[str]:
    """SQLSTATEs of a server's errors; psql's own words, where there is no such error."""
    return re.findall(r"ERROR:  (\w{5}): ", said) or said.splitlines()


_EVERYTHING = "\\d *.*"  # asks eight questions about each relation of the server: nine of ten of all that are asked


@pytest.mark.timeout(900)  # some 170 commands, and as many questions behind each of them
@pytest.mark.parametrize(
    ("version", "whole"),
    [
        pytest.param(18, False, id="18"),
        pytest.param(None, False, id="installed"),
        pytest.param(18, True, id="18, every relation", marks=pytest.mark.slow),
        pytest.param(16, True, id="16, every relation", marks=pytest.mark.slow),  # it has more than 15, less than 18
        pytest.param(None, True, id="installed, every relation", marks=pytest.mark.slow),
    ],
)
async def test_every_command_of_psql_is_answered_as_by_the_server(
    everyday_database: DemoDatabase, tmp_path: Path, version: int | None, whole: bool
) -> None:
    psql = program(version, tmp_path)
    asked = [command for command in commands() if whole or command != _EVERYTHING]
    assert _EVERYTHING in commands()
    async with open_everyday(everyday_database, tmp_path) as world:
        token = await world.token(add_reader(world))
        through = await run(psql, asked, world.conninfo("reader"), PGPASSWORD=token)
    wanted = await run(psql, asked, direct_conninfo(everyday_database))
    faults: list[object] = []
    for command, said, server in zip(asked, through, wanted, strict=True):
        if states(said) != states(server):
            faults.append((command, said, server))
    assert faults == []


def type_and_complete(psql: Path, conninfo: str, folder: Path, token: str) -> None:
    """At a terminal: each beginning of a statement, the tab key twice, and the line is thrown away."""
    (folder / "inputrc").write_text("set page-completions off\nset completion-query-items -1\n")
    typed = "".join(
        f"{line}{'' if line.endswith(('.', '(')) else ' '}\t\t\x15"
        for line in (FIXTURES / "completions.txt").read_text("utf-8").splitlines()
    )
    given = environment(
        {
            "PGPASSWORD": token,
            "TERM": "dumb",
            "PSQL_PAGER": "cat",
            "INPUTRC": str(folder / "inputrc"),
            "HOME": str(folder),
        }
    )
    left = f"{typed}SELECT replace('{_OVER.replace(' ', '-')}', '-', ' ');\n".encode()
    terminal, end = pty.openpty()
    process = subprocess.Popen([str(psql), "-X", conninfo], stdin=end, stdout=end, stderr=end, env=given)
    os.close(end)
    seen = b""
    try:
        while _OVER.encode() not in seen:
            ready, able, _ = select.select([terminal], [terminal] if left and b"=> " in seen else [], [], _SECONDS)
            assert ready or able, seen[-2000:]
            if ready:
                seen += os.read(terminal, 65536)
            if able:
                left = left[os.write(terminal, left[:512]) :]
    finally:
        process.kill()
        process.wait()
        os.close(terminal)


def refused_catalogs(world: World) -> Counter[str]:
    denied: list[Record] = [record for record in records(world, "execution") if record["decision"] == "deny"]
    return Counter(
        name for record in denied for name in re.findall(r"FROM pg_catalog\.(\w+)", str(record["statement"]))[:1]
    )


async def test_what_the_tab_key_asks_is_answered(everyday_database: DemoDatabase, tmp_path: Path) -> None:
    psql = program(None, tmp_path)
    async with open_everyday(everyday_database, tmp_path) as world:
        token = await world.token(add_reader(world))
        await asyncio.to_thread(type_and_complete, psql, world.conninfo("reader"), tmp_path, token)
        asked = len(records(world, "execution"))
        refused = refused_catalogs(world)
        unfit = [record for record in records(world, "outcome") if record["ended"] not in ("completed", "refused")]
    if asked == 1:
        pytest.skip("this psql was built without a line editor")
    assert asked > 150
    assert unfit == []
    assert set(refused) == set()
