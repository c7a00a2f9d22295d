"""Builds the client programs that are not Python, once for each state of their sources.

Decides where builds are kept (outside the checkout) and when a client is not to be had here: a toolchain or a
package that is missing is a skip with its reason. A program that does not compile is a failure.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

__all__ = ["HERE", "cache", "cached", "run"]

HERE = Path(__file__).parent

# What package clients say when they do not reach where packages are kept.
_UNREACHED = re.compile(
    r"ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ETIMEDOUT|ENETUNREACH|dial tcp|no such host|module lookup disabled|"
    r"Could not resolve host|[Cc]ould not transfer|Unknown host|failed to (?:download|fetch|get)|spurious network|"
    r"Failed to establish a new connection|Temporary failure in name resolution|No matching distribution",
)
_TOO_OLD = re.compile(r"requires go >= |requires rustc |invalid (?:source|target) release|Unsupported engine")


def cache() -> Path:
    given = os.environ.get("PGJIT_TEST_CACHE")
    return Path(given) if given else Path.home() / ".cache" / "pgjit-tests"


def run(*arguments: str | Path, folder: Path, seconds: float, **environment: str) -> None:
    """Run one step of a build. Skips where no package could be had, fails on anything else."""
    try:
        done = subprocess.run(
            [str(part) for part in arguments],
            cwd=folder, env={**os.environ, **environment}, stdin=subprocess.DEVNULL,
            capture_output=True, encoding="utf-8", errors="replace", timeout=seconds,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        pytest.skip(f"{arguments[0]} was not done in {seconds:.0f} s")
    said = done.stdout + done.stderr
    if done.returncode and _UNREACHED.search(said):
        pytest.skip(f"{arguments[0]} reached no packages: {' '.join(said.split())[-300:]}")
    if done.returncode and _TOO_OLD.search(said):
        pytest.skip(f"{arguments[0]} is too old: {' '.join(said.split())[-300:]}")
    assert done.returncode == 0, said[-4000:]


def cached(name: str, sources: Sequence[Path], build: Callable[[Path], None]) -> Path:
    """The folder with what `build` makes of `sources`, which are copied there; made anew when they change."""
    digest = hashlib.sha256()
    for source in sources:
        digest.update(source.name.encode() + b"\0" + source.read_bytes())
    home = cache() / f"{name}-{digest.hexdigest()[:16]}"
    with _alone(name):
        if not home.is_dir():
            # Built beside and moved when it is whole: a build that was stopped halfway is never taken for one.
            making = Path(tempfile.mkdtemp(prefix=f".{name}-", dir=cache()))
            try:
                for source in sources:
                    at = making / ("src" if source.parent.name == "src" else "")
                    at.mkdir(exist_ok=True)
                    shutil.copy(source, at)
                build(making)
                making.rename(home)
            finally:
                shutil.rmtree(making, ignore_errors=True)
    return home


@contextmanager
def _alone(name: str) -> Iterator[None]:
    cache().mkdir(parents=True, exist_ok=True)
    with (cache() / f".{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
