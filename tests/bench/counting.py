"""Runs the core's conversations under callgrind, and has it write a count for each.

`tests.bench.instructions` starts this program. Callgrind counts nothing at first: importing everything would take a
minute. This program has callgrind_control switch it on, and dump what it counted after each conversation.
"""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import time

from tests.bench.core import CONVERSATIONS, Core

__all__ = ["TURNS", "WARM_TURNS"]

TURNS = 100
WARM_TURNS = 5
_PAUSE = 0.05
"""Seconds between two looks at callgrind_control. A look is counted, too, and a busy machine has more of them."""


def _count() -> None:
    ready = []
    for conversation in CONVERSATIONS.values():
        core = Core()
        conversation(core, WARM_TURNS)
        ready.append((conversation, core))
    gc.collect()
    gc.disable()
    _control("--instr=on")
    _control("--zero")
    for conversation, core in ready:
        conversation(core, TURNS)
        _control("--dump")


def _control(order: str) -> None:
    """Callgrind looks for orders while the program runs: waiting for the child in one call would hold them back."""
    with subprocess.Popen(
        ["callgrind_control", order, str(os.getpid())], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as child:
        while child.poll() is None:
            time.sleep(_PAUSE)
    if child.returncode != 0:
        sys.exit(f"callgrind_control {order} failed with status {child.returncode}")


if __name__ == "__main__":
    _count()
