"""What programs that answer one question about the journal have in common: a JSON object on standard input, one on
standard output, and how far they are on standard error.

Decides how much memory such a program may take, and that it gives way to everything else on the machine. Does not
know the questions.
"""

from __future__ import annotations

import json
import os
import resource
import sys
from collections.abc import Callable, Mapping
from typing import Any, Final

__all__ = ["Question", "answer_question"]

_NICE: Final = 10
_MOST_MEMORY: Final = 3 << 30
"""Bytes. DuckDB counts what it buffers, and not a long text or list: those it allocates beyond its own limit."""

Question = Mapping[str, Any]


def answer_question(answer: Callable[[Question, Callable[[int, int], None]], dict[str, Any]]) -> None:
    """Read the question, and print what `answer` returns. Its `file`, a text, follows after the first line.

    `answer` may report its progress: bytes that are read, and bytes that are to be read.
    """
    os.nice(_NICE)
    resource.setrlimit(resource.RLIMIT_DATA, (_MOST_MEMORY, _MOST_MEMORY))
    found = answer(json.load(sys.stdin), _report)
    file = found.pop("file", None)
    json.dump(found, sys.stdout)
    if file is not None:  # after the first line, so that nobody has to read it as JSON
        sys.stdout.flush()
        sys.stdout.buffer.write(b"\n" + file.encode("utf-8", "replace"))  # whatever the encoding of this machine is


def _report(done: int, whole: int) -> None:
    """A line for the process that asked."""
    print(json.dumps({"read": done, "of": whole}), file=sys.stderr, flush=True)
