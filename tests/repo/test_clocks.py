"""No test needs the machine to be fast: tests read no clock to compare with, and wait for events, not for a while."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
TESTS = [path for path in sorted((ROOT / "tests").rglob("*.py")) if "bench" not in path.relative_to(ROOT).parts]

_CLOCKS = {"monotonic", "perf_counter", "process_time", "thread_time"}
_CLOCKS |= {f"{name}_ns" for name in _CLOCKS}

# Where a clock is read, and why. Nothing there compares what it reads with a constant.
MAY_READ = {
    "tests/run/guardian.py": "it gives the run its time",
    "tests/run/progress.py": "it prints how long files took",
    "tests/docker/test_killed_parts.py": "it prints how soon backends were gone",
}
# Where something sleeps, and why.
MAY_SLEEP = {
    "tests/run/waiting.py": "the one place that looks again and again, with a bound",
    "tests/run/guardian.py": "it waits for a process that is not its child",
    "tests/e2e/matrix/python/with_psql.py": "a program of its own: it waits for what it started",
    "tests/e2e/test_drain.py": "it asks until the answer changes, for as long as the server answers at all",
    "tests/e2e/test_means_of_ending.py": "it looks at what may have failed, too",
    "tests/fakes/scripted_client.py": "a client that is slow on purpose",
}


def _name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


# What is looked for has one of these names in its text: other files need not be parsed.
_NAMES = re.compile(rf"\b(?:sleep|{'|'.join(sorted(_CLOCKS))})\b")


def _called(tree: ast.AST) -> Iterator[tuple[ast.Call, str, str]]:
    """Every call of `module.name` or of `name`, with both."""
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=ast.Attribute(value=ast.Name(id=module), attr=name)):
                yield node, module, name
            case ast.Call(func=ast.Name(id=name)):
                yield node, "", name


def clocks_read(tree: ast.AST) -> list[int]:
    """Lines where a clock that measures is read, or imported by its name."""
    lines = [node.lineno for node, module, name in _called(tree) if module == "time" and name in _CLOCKS]
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module == "time":
            lines += [node.lineno for each in node.names if each.name in _CLOCKS]
    return sorted(lines)


def sleeps(tree: ast.AST) -> list[int]:
    """Lines that sleep, other than to give other tasks their turn."""
    lines = []
    for node, module, name in _called(tree):
        turn = bool(node.args) and isinstance(node.args[0], ast.Constant) and node.args[0].value == 0
        if name == "sleep" and module in ("", "asyncio", "time") and not turn:
            lines.append(node.lineno)
    return sorted(lines)


def test_no_test_reads_a_clock_that_measures_and_none_sleeps() -> None:
    reading, sleeping = {}, {}
    for path in TESTS:
        text = path.read_text("utf-8")
        if not _NAMES.search(text):
            continue
        tree = ast.parse(text)
        if lines := clocks_read(tree):
            reading[_name(path)] = lines
        if lines := sleeps(tree):
            sleeping[_name(path)] = lines
    assert {name: lines for name, lines in reading.items() if name not in MAY_READ} == {}
    assert {name: lines for name, lines in sleeping.items() if name not in MAY_SLEEP} == {}
    # An exception is still one.
    assert set(reading) >= set(MAY_READ)
    assert set(sleeping) >= set(MAY_SLEEP)


def test_what_is_looked_for_is_found() -> None:
    text = (
        "import time, asyncio\nfrom time import process_time\ntime.perf_counter()\ntime.sleep(1)\nasyncio.sleep(x)\n"
    )
    assert clocks_read(ast.parse(text)) == [2, 3]
    assert sleeps(ast.parse(text + "asyncio.sleep(0)\n")) == [4, 5]
