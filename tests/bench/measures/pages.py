"""What open pages of the console cost the data path: each load while they are open and while none is, in turns.

The pages follow the sessions of now, which every load changes all the time: each page is sent a new state every two
seconds. Where clients come and go, it is also sent an event for each session that begins or ends. `longest CPU` is
the longest stall of the event loop, as in stalls.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace

from tests.bench.bed import PGBOUNCER, PGJIT, Bed
from tests.bench.effort import Effort
from tests.bench.figures import Figure, spread
from tests.bench.load import Sample, run_load
from tests.bench.measures.throughput import LOADS, load_figures, ways_of_turn
from tests.bench.pages import OpenPages, SignedIn, sign_in
from tests.bench.served import run_served
from tests.bench.watched import read_stall, reset_stall

__all__ = ["CASES", "measure"]

_OPEN, _NONE = "-pages", "-p0"
CASES = tuple(f"{load}{_OPEN}" for load in ("prepared-8", "connect-4"))
"""Each also has the rows of `-p0`: the same pgjit while no page is open, of the same turns."""


def measure(bed: Bed, effort: Effort) -> Iterator[Figure]:
    chosen = effort.chosen(CASES)
    if not chosen:
        return
    server = bed.postgres
    place = str(server.socket_dir), server.port, server.password
    with run_served(bed.folder / "console", bed.certificates, *place, console=True) as served:
        authority, log = bed.certificates.authority, served.folder / "pages.log"
        with sign_in(served.console, authority, effort.pages, log) as people:
            for case in chosen:
                yield from _in_turns(replace(bed, pgjit=served), people, case.removesuffix(_OPEN), effort)


def _in_turns(bed: Bed, people: SignedIn, load: str, effort: Effort) -> Iterator[Figure]:
    turns = [*(way for way in bed.ways if way == PGBOUNCER), _NONE, _OPEN]
    samples: dict[str, list[Sample]] = {turn: [] for turn in turns}
    stalls: dict[str, list[float]] = {turn: [] for turn in (_NONE, _OPEN)}
    states: list[float] = []
    for turn in effort.interleaved(turns, f"{load}{_OPEN}"):
        if turn == PGBOUNCER:
            samples[turn].append(run_load(bed, PGBOUNCER, LOADS[load], effort))
            continue
        opened: AbstractContextManager[OpenPages | None] = people.opened() if turn == _OPEN else nullcontext()
        with opened as pages:
            reset_stall(bed.pgjit.stall)
            samples[turn].append(run_load(bed, PGJIT, LOADS[load], effort))
            stalls[turn].append(read_stall(bed.pgjit.stall)[1])
        if pages is not None:
            states.append(pages.states_per_second)
    for turn in (_NONE, _OPEN):
        yield from load_figures(f"{load}{turn}", ways_of_turn(samples, turn))
        yield Figure(f"{load}{turn}", "longest CPU", "ms", {PGJIT: spread(stalls[turn])})
    yield Figure(f"{load}{_OPEN}", "states sent", "/s", {PGJIT: spread(states)})
