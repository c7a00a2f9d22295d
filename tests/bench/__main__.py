"""pgjit beside pgbouncer and a direct connection, side by side in one run, with a verdict for each target.

    make bench                                                all; about 20 minutes; writes docs/performance.md
    make bench ARGS='--list'                                  the cases that there are
    make bench ARGS="--only 'prepared-8*,idle-*'"             some of them; such a run writes no page
    make bench ARGS='--quick'                                 one short round of each; some minutes
    .venv/bin/python -m tests.bench --transactions 4000 --rounds 2 --only 'prepared-8,unique-8' --ways pgbouncer,pgjit

The last shows the CPU that the proxy's processes used for a transaction, logins excluded, over so many of them.
Ratios of one run are what counts: on a busy machine the CPU still holds to some percent, the rates do not. To measure
another version, run the bench of its checkout, or set PGJIT_BENCH_PYTHON to the Python of its environment: `pgjit
serve` runs with it. With PGJIT_BENCH_PYTHON='python -m cProfile -o out.prof' it runs under a profiler.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterable
from dataclasses import asdict, replace

from pgjit.file_descriptors import raise_limit
from tests.bench.bed import WAYS, open_bed
from tests.bench.effort import FULL, QUICK, TINY, Effort
from tests.bench.figures import Figure
from tests.bench.machine import describe
from tests.bench.measuring import MEASURES, cases_of
from tests.bench.page import PAGE, write_page
from tests.bench.report import facts_lines, figure_line, heading, verdict_lines
from tests.bench.targets import verdicts

__all__ = ["main"]

_FILES = 2**16
"""Open files: the programs that the bench starts inherit the limit."""


def main(arguments: list[str]) -> int:
    parser = _parser()
    options = parser.parse_args(arguments)
    effort = _effort(options)
    cases = cases_of(effort)
    if options.list:
        print(*cases, sep="\n")
        return 0
    if unknown := effort.unknown(cases):
        parser.error(f"no case is `{'`, `'.join(unknown)}`; there are {', '.join(cases)}")
    begun = time.monotonic()
    raise_limit(_FILES)
    figures: list[Figure] = []
    failed: list[str] = []
    with open_bed(tuple(way for way in WAYS if way in options.ways.split(",")), effort.scale) as bed:
        facts = describe(bed)
        if not options.json:
            _print([*facts_lines(facts), "", heading(bed.ways)])
        for name, measure in MEASURES.items():
            try:
                for figure in measure.run(bed, effort):
                    figures.append(figure)
                    if not options.json:
                        _print([figure_line(figure, bed.ways)])
            except SystemExit as fault:  # what was measured before it is kept
                print(f"{name}: {fault}", file=sys.stderr)
                failed.append(name)
        ways = bed.ways
    facts["duration"] = f"{round((time.monotonic() - begun) / 60)} minutes"
    found = list(verdicts(figures))
    if options.json:
        shown = [
            {"target": each.target.name, "value": each.value, "met": each.met, "why": each.why} for each in found
        ]
        run = {"run": facts, "figures": [asdict(one) for one in figures], "targets": shown}
        print(json.dumps(run, indent=1))
    else:
        _print(["", *verdict_lines(found)])
    if options.write or (effort == FULL and ways == WAYS):
        write_page(facts, figures, found, ways)
        print(f"written: {PAGE} and its plot", file=sys.stderr)
    if failed:
        print(f"failed, and without some or all of their figures: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


def _print(lines: Iterable[str]) -> None:
    print("\n".join(lines), flush=True)


def _effort(options: argparse.Namespace) -> Effort:
    effort = TINY if options.tiny else QUICK if options.quick else FULL
    return replace(
        effort,
        only=tuple(filter(None, options.only.split(","))) or effort.only,
        rounds=options.rounds or effort.rounds,
        seconds=options.seconds or effort.seconds,
        transactions=options.transactions or effort.transactions,
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description="pgjit beside pgbouncer")
    parser.add_argument("--quick", action="store_true", help="one round of two seconds for each case, less of all")
    parser.add_argument("--tiny", action="store_true", help="a few transactions of some cases: does the bench run?")
    parser.add_argument("--only", default="", help="cases, as patterns: prepared-*,unique-8")
    parser.add_argument("--list", action="store_true", help="print the cases, and measure nothing")
    parser.add_argument("--ways", default=",".join(WAYS), help="of direct,pgbouncer,pgjit; pgjit always runs")
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--seconds", type=float, help="of one run of pgbench")
    parser.add_argument("--transactions", type=int, help="of one run of pgbench, instead of a time")
    parser.add_argument("--write", action="store_true", help="write docs/performance.md, though this is no full run")
    parser.add_argument("--json", action="store_true", help="one JSON object with all figures, for programs")
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
