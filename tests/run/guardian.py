"""A process beside a run that ends what the run cannot: itself where it stands still, and whatever it left running.

The run writes for how many seconds it may be silent, or `-` for as long as it likes. When it is silent for longer, it
gets SIGABRT: pytest then prints where every thread stands. When the run is over, in whatever way, every process with
its mark in the environment is killed. The guardian is a program of its own: it has to outlive the run.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import sys
import time

__all__ = ["MARK", "main"]

MARK = "SUITE_RUN"  # not `PG...`: tests take such names away from their children
_LOOKS = 1.0
_SECONDS = 10.0


def _is_over(run: int) -> bool:
    return os.getppid() != run


def _falls_silent(run: int) -> bool:
    """False where the run is over, True where it said nothing for too long."""
    ends: float | None = None
    while not _is_over(run):
        if select.select([0], [], [], _LOOKS)[0]:
            said = os.read(0, 65_536)
            if not said:
                return False
            last = said.split()[-1]
            ends = None if last == b"-" else time.monotonic() + float(last)
        elif ends is not None and time.monotonic() > ends:
            return True
    return False


def _end(run: int) -> None:
    for number in (signal.SIGABRT, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.kill(run, number)
        ends = time.monotonic() + _SECONDS
        while not _is_over(run) and time.monotonic() < ends:
            time.sleep(0.1)


def _kill_what_is_left(mark: str) -> None:
    import psutil

    left = []
    for process in psutil.process_iter():
        try:
            if process.pid != os.getpid() and process.environ().get(MARK) == mark:
                # PostgreSQL's processes go together, and give back their shared memory.
                process.send_signal(signal.SIGQUIT if process.name() == "postgres" else signal.SIGKILL)
                left.append(process)
        except psutil.Error:
            continue
    for process in psutil.wait_procs(left, _SECONDS)[1]:
        process.kill()


def main(run: int, mark: str) -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    if _falls_silent(run):
        _end(run)
    _kill_what_is_left(mark)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
