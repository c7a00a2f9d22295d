"""The program of a worker process: judges, or explains, the statements that the proxy sends, until it is gone.

Requests come on standard input and answers leave on standard output, each as its length and a pickle. The program
knows no event loop: a process that is killed with its statement is back sooner.
"""

from __future__ import annotations

import gc
import os
import pickle
import signal
import struct
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO, Final

from pgjit.judging.catalog_transfer import unpack_catalog
from pgjit.judging.judge import assess
from pgjit.judging.judgement import without_facts
from pgjit.policy.load import Policies
from pgjit.policy.policy import Policy
from pgjit.sql.catalog import Catalog
from pgjit.sql.constants import shape_of

__all__ = ["LENGTH", "main"]

LENGTH: Final = struct.Struct("!Q")
"""What stands before each message, in both directions."""

_NICENESS = 5
"""Lower priority than the event loop, which ends windows."""


def _serve(requests: BinaryIO, answers: BinaryIO) -> None:
    """Judge until the parent is gone."""
    policies: dict[tuple[str, str], Policy] = {}
    catalogs: dict[str, Catalog] = {}
    parts: list[bytes] = []
    _answer(answers, None)
    while (message := _read(requests)) is not None:
        match message:
            case "policy", key, policy, evicted:
                for old in evicted:
                    del policies[old]
                policies[key] = policy
            case "part", part:
                parts.append(part)
            case "catalog", version, evicted:
                for old in evicted:
                    del catalogs[old]
                catalogs[version] = unpack_catalog(parts)
                parts = []
                gc.freeze()  # the catalog never changes: keep the cycle collector away from it
            case "judge", key, version, sql, limit:
                catalog = None if version is None else catalogs[version]
                judgement = assess(policies[key], sql, limit, catalog, shape=shape_of(sql))
                _answer(answers, without_facts(judgement))
            case "explain", key, version, sql, limit, text:
                catalog = None if version is None else catalogs[version]
                from pgjit.judging.explanation import explained  # here: a process that only judges does without

                _answer(answers, explained(policies[key], sql, limit, catalog, text))
            case "tests", of_folder, name, limit:
                from pgjit.judging.policy_tests import results_of_tests

                _answer(answers, results_of_tests(Policies(of_folder), name, limit))


def _read(requests: BinaryIO) -> Any:
    header = requests.read(LENGTH.size)
    if len(header) < LENGTH.size:
        return None
    data = requests.read(LENGTH.unpack(header)[0])
    return pickle.loads(data)  # noqa: S301 - sent by our parent process; a truncated pickle ends this process


def _answer(answers: BinaryIO, value: object) -> None:
    data = pickle.dumps(value, pickle.HIGHEST_PROTOCOL)
    answers.write(LENGTH.pack(len(data)) + data)
    answers.flush()


def main() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C in a terminal is for the proxy, which ends this process
    os.nice(_NICENESS)
    with suppress(OSError):  # Linux: when memory runs out, this process is killed and not the proxy
        Path("/proc/self/oom_score_adj").write_text("1000")
    requests, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # printed text must not mix with the answers
    with suppress(BrokenPipeError):
        _serve(requests, answers)


if __name__ == "__main__":
    main()
