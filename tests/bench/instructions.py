"""Instruction counts of the pure core, held against a baseline in the repository. A busy machine counts the same.

    .venv/bin/python -m tests.bench.instructions            compares; status 1 if a conversation costs over 5 % more
    .venv/bin/python -m tests.bench.instructions --write    makes what is counted now the baseline

Counts depend on how Python was built: the baseline has one set for each build, and a build that it does not know is
not compared. Compiled modules are a build of their own. Where valgrind is missing, nothing is compared; both are
reported.
"""

from __future__ import annotations

import json
import os
import platform
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping
from importlib.metadata import version
from pathlib import Path

from pgjit.build import check_build
from tests.bench.core import CONVERSATIONS
from tests.bench.counting import TURNS
from tests.run.processes import finish

__all__ = ["BASELINE", "ROOM", "build", "compare", "count", "missing"]

BASELINE = Path(__file__).with_name("instructions.json")
ROOM = 0.05
_SECONDS = 900


def build() -> str:
    """What instruction counts depend on, beside the code."""
    python = f"{platform.python_implementation()} {platform.python_version()}"
    compiled = f", compiled by mypyc {version('mypy')}" if check_build().modules else ""
    return f"{python}, {platform.machine()}, {platform.python_compiler()}, {' '.join(platform.libc_ver())}{compiled}"


def missing() -> str | None:
    """Why nothing can be counted here. None if it can."""
    for name in ("valgrind", "callgrind_control"):
        if shutil.which(name) is None:
            return f"{name} is not installed"
    return None


def count() -> dict[str, int]:
    """Instructions of one transaction, by conversation."""
    with tempfile.TemporaryDirectory(prefix="pgjit-count-") as name:
        out = Path(name) / "counts"
        done = finish(
            "valgrind", "-q", "--tool=callgrind", "--instr-atstart=no", f"--callgrind-out-file={out}",
            sys.executable, "-m", "tests.bench.counting",
            seconds=_SECONDS, env=os.environ | {"PYTHONHASHSEED": "0"}, cwd=Path(__file__).parents[2],
        )  # fmt: skip
        if done.status != 0:
            raise SystemExit(f"the core could not be counted: {done.err[-2000:]}")
        return {
            conversation: _total(Path(f"{out}.{number}")) // TURNS
            for number, conversation in enumerate(CONVERSATIONS, 1)
        }


def _total(file: Path) -> int:
    found = re.search(r"^totals: (\d+)", file.read_text(), re.MULTILINE)
    assert found is not None
    return int(found[1])


def compare(counted: Mapping[str, int], baseline: Mapping[str, int]) -> Iterator[tuple[str, bool]]:
    """A line for each conversation, and whether it is within the baseline's room."""
    for name, now in counted.items():
        before = baseline.get(name)
        if before is None:
            yield f"{name:10}{now:10,} instructions, with no baseline", False
            continue
        share = now / before - 1
        verdict = "too many" if share > ROOM else "fewer: write a new baseline" if share < -ROOM else "ok"
        yield f"{name:10}{now:10,} instructions, baseline {before:10,} {share:+7.1%}  {verdict}", share <= ROOM


def _main(arguments: list[str]) -> int:
    if (why := missing()) is not None:
        print(f"instruction counts: skipped, {why}")
        return 0
    known: dict[str, dict[str, int]] = json.loads(BASELINE.read_text()) if BASELINE.exists() else {}
    if "--write" in arguments:
        known[build()] = count()
        BASELINE.write_text(json.dumps(known, indent=1) + "\n")
        print(f"instruction counts: written for {build()}")
        return 0
    if build() not in known:
        print(f"instruction counts: skipped, the baseline has none for {build()}; --write adds them")
        return 0
    lines = list(compare(count(), known[build()]))
    print(f"instructions of a transaction in the pure core, on {build()}")
    print(*(line for line, _ in lines), sep="\n")
    return 0 if all(fits for _, fits in lines) else 1


if __name__ == "__main__":
    sys.exit(_main(sys.argv[1:]))
