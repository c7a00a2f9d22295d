"""pgjit beside pgbouncer and a direct connection, side by side in one run.

    .venv/bin/python -m tests.bench                              all cases, all ways; some minutes
    .venv/bin/python -m tests.bench --transactions 4000 --rounds 2 --only 'prepared-8,unique-8' --ways pgbouncer,pgjit

The second shows the CPU that the proxy's processes used for a transaction, logins excluded, over so many of them.
Ratios of one run are what counts: on a busy machine the CPU still holds to some percent, the rates do not. To measure
another version, run the bench of its checkout, or set PGJIT_BENCH_PYTHON to the Python of its environment: `pgjit
serve` runs with it. With PGJIT_BENCH_PYTHON='python -m cProfile -o out.prof' it runs under a profiler.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict, replace

from tests.bench.bed import PGBOUNCER, PGJIT, WAYS, open_bed
from tests.bench.effort import FULL, QUICK
from tests.bench.figures import Figure
from tests.bench.measures import throughput

__all__: list[str] = []


def main(arguments: list[str]) -> int:
    asked = _parser().parse_args(arguments)
    effort = QUICK if asked.quick else FULL
    effort = replace(
        effort,
        only=tuple(filter(None, asked.only.split(","))),
        rounds=asked.rounds or effort.rounds,
        seconds=asked.seconds or effort.seconds,
        transactions=asked.transactions,
    )
    found: list[Figure] = []
    with open_bed(tuple(way for way in WAYS if way in asked.ways.split(","))) as bed:
        if not asked.json:
            print(f"{'':14}{'':16}" + "".join(f"{way:>15}" for way in bed.ways))
        for figure in throughput.measure(bed, effort):
            found.append(figure)
            if not asked.json:
                print(_line(figure, bed.ways), flush=True)
    if asked.json:
        print(json.dumps([asdict(figure) for figure in found], indent=1))
    return 0


def _line(figure: Figure, ways: tuple[str, ...]) -> str:
    line = f"{figure.case:14}{figure.name + ', ' + figure.unit:16}"
    for way in ways:
        value = figure.ways.get(way)
        line += f"{value.median:9,.0f} ±{value.share:3.0%}" if value else " " * 15
    ratio = figure.ratio(PGJIT, PGBOUNCER)
    return line + (f"{ratio:6.2f}" if ratio is not None else "")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description="pgjit beside pgbouncer")
    parser.add_argument("--quick", action="store_true", help="one round of two seconds for each case")
    parser.add_argument("--only", default="", help="cases, as patterns: prepared-*,unique-8")
    parser.add_argument("--ways", default=",".join(WAYS))
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--seconds", type=float)
    parser.add_argument("--transactions", type=int, default=0, help="of each run, instead of a time")
    parser.add_argument("--json", action="store_true")
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
