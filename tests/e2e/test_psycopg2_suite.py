"""psycopg2's own tests, run directly and through pgjit: none may fail there that passes directly.

They come with the published source archive of the version that is installed, which is fetched when they are run.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import tarfile
from collections import Counter
from collections.abc import Iterator, Mapping
from importlib.metadata import version
from pathlib import Path

import pytest
import yaml

from pgjit.demo.database import DemoDatabase
from pgjit.demo.world import World
from tests.e2e.matrix.toolchains import cached, run
from tests.e2e.scratch import environment, open_scratch, serve_scratch
from tests.e2e.worlds import records

HERE = Path(__file__).parent
SECONDS = 900  # half a minute, where nothing else runs

Endings = dict[str, tuple[str, str]]  # of each test: how it ended, and what it said


@pytest.fixture(scope="module")
def suite() -> Path:
    pinned = f"psycopg2=={version('psycopg2-binary')}"

    def fetch(folder: Path) -> None:
        pip = (sys.executable, "-m", "pip", "--disable-pip-version-check", "download", "--quiet", "--no-deps")
        run(*pip, "--no-binary", ":all:", "--dest", ".", pinned, folder=folder, seconds=120)
        (archive,) = folder.glob("psycopg2-*.tar.gz")
        with tarfile.open(archive) as packed:
            packed.extractall(folder, filter="data")
        (unpacked,) = (path for path in folder.iterdir() if path.is_dir())
        unpacked.rename(folder / "unpacked")

    return cached(pinned.replace("==", "-"), [], fetch) / "unpacked"


@pytest.fixture(scope="module")
def scratch() -> Iterator[DemoDatabase]:
    with serve_scratch() as served:
        yield served


@pytest.mark.drivers
@pytest.mark.timeout(2 * SECONDS + 120)
@pytest.mark.parametrize("wait", ["blocking", pytest.param("green", marks=pytest.mark.slow)])
async def test_the_suite_of_psycopg2_passes_as_it_does_directly(
    wait: str, suite: Path, scratch: DemoDatabase, tmp_path: Path
) -> None:
    """`green`: every wait of the driver goes through a callback of the program's, and no call of it blocks."""
    green = {"PSYCOPG2_TEST_GREEN": "1"} if wait == "green" else {}
    directly = await _run(suite, green | await environment(scratch))
    async with open_scratch(scratch, tmp_path) as world:
        through = await _run(suite, green | await environment(world))

    passed = {test for test, (ended, _) in directly.items() if ended == "passed"}
    assert len(passed) > 600
    files = ["known_differences.yaml", *(["known_differences_green.yaml"] if green else [])]
    known = {test: why for file in files for test, why in yaml.safe_load((HERE / file).read_text()).items()}
    different = {test: through.get(test, ("never run", "")) for test in passed}
    different = {test: ending for test, ending in different.items() if ending[0] != "passed"}
    possible = yaml.safe_load((HERE / "possible_differences.yaml").read_text())
    assert {test: ending for test, ending in different.items() if test not in known and test not in possible} == {}
    assert sorted(set(known) - set(different)) == []  # what has come to pass is not to be excused any more
    _see_the_journal(world)


async def _run(suite: Path, place: Mapping[str, str]) -> Endings:
    given = {name: value for name, value in os.environ.items() if not name.startswith(("PG", "PSYCOPG2"))}
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(HERE / "psycopg2_runner.py"), str(SECONDS),
        cwd=suite, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        env={**given, **place, "PYTHONPATH": str(suite), "PSYCOPG2_TESTDB": place["PGDATABASE"]},
    )  # fmt: skip
    out, err = await process.communicate()
    endings: Endings = {}
    for line in out.decode().splitlines():
        if line.startswith('{"test"'):
            told = json.loads(line)
            if endings.get(told["test"], ("", ""))[0] != "failed":  # one part of a test that failed is enough
                endings[told["test"]] = (told["ended"], told["detail"])
    assert process.returncode == 0, (endings and list(endings.items())[-1], err.decode()[-4000:])
    return endings


def _see_the_journal(world: World) -> None:
    executions = Counter(str(r["execution"]) for r in records(world, "execution"))
    outcomes = Counter(str(r["execution"]) for r in records(world, "outcome"))
    assert len(executions) > 1000
    assert executions == outcomes
    assert set(executions.values()) == {1}
    assert len(records(world, "session.opened")) == len(records(world, "session.ended"))
