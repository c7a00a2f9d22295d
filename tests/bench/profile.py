"""A flame graph of pgjit under load, by py-spy: where the time of a transaction goes.

    make profile                              prepared-8: docs say how to read it
    make profile ARGS='--case unique-8 --native --seconds 20'

The graph is an SVG for a browser. Beside it is a text with the functions that were running most often.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from collections import Counter
from pathlib import Path

from tests.bench.bed import PGJIT, open_bed
from tests.bench.effort import Effort
from tests.bench.load import run_load
from tests.bench.measures.throughput import LOADS, write_scripts
from tests.run.processes import own

__all__ = ["own_time"]

_RATE = 200
_SECONDS = 120
_LINES = 30
_WAITING = ("_worker (concurrent/futures/", "Condition.wait (")
"""Threads that wait: py-spy takes them for running where the machine is busy."""

_WARM = 800
"""Transactions before the recording: the first login reads the catalog, for a second or two."""


def own_time(stacks: str) -> list[tuple[float, str]]:
    """The share of samples in which a function itself ran, by py-spy's raw format: `outer;inner count` lines."""
    counts: Counter[str] = Counter()
    for line in stacks.splitlines():
        stack, _, count = line.rpartition(" ")
        function = stack.rpartition(";")[2]
        if not function.startswith(_WAITING):
            counts[function] += int(count)
    total = sum(counts.values()) or 1
    return [(count / total, name) for name, count in counts.most_common()]


def _main(arguments: list[str]) -> int:
    options = _parser().parse_args(arguments)
    program = shutil.which("py-spy", path=str(Path(sys.executable).parent)) or shutil.which("py-spy")
    if program is None:
        print("profile: skipped, py-spy is not installed (`make setup` installs it where it has a wheel)")
        return 0
    out = Path(options.out).resolve()
    raw = out.with_suffix(".txt")
    with open_bed((PGJIT,)) as bed:
        write_scripts(bed.folder)
        run_load(bed, PGJIT, LOADS[options.case], Effort(1, 1, transactions=_WARM))
        more = ["--native"] if options.native else []
        record = [program, "record", "--pid", str(bed.pgjit.group), "--rate", str(_RATE)]
        record += ["--duration", str(options.seconds)]
        with (
            own(*record, *more, "--format", "flamegraph", "--output", out) as graph,
            own(*record, *more, "--format", "raw", "--function", "--output", raw) as stacks,
        ):
            sample = run_load(bed, PGJIT, LOADS[options.case], Effort(1, options.seconds + 2))
            for process in (graph, stacks):
                _, error = process.communicate(timeout=_SECONDS)
                if process.returncode != 0:
                    raise SystemExit(f"profile: py-spy failed: {error[-2000:]}")
    print(f"{options.case}: {sample.rate:,.0f} transactions a second, {sample.cpu:,.0f} µs of CPU for each")
    for share, name in own_time(raw.read_text())[:_LINES]:
        print(f"{share:6.1%}  {name}"[:80])
    print(f"flame graph: {out}\nall stacks:  {raw}")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.profile", description="a flame graph of pgjit")
    parser.add_argument("--case", choices=list(LOADS), default="prepared-8")
    parser.add_argument("--seconds", type=int, default=10)
    parser.add_argument("--native", action="store_true", help="frames of C code, too")
    parser.add_argument("--out", default="flame.svg")
    return parser


if __name__ == "__main__":
    sys.exit(_main(sys.argv[1:]))
