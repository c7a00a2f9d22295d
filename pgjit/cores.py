"""How many processor cores this process may use: `workers: auto` is one process for each.

Decides that a limit of the control group counts as well as the affinity: a container on a large machine has few.
"""

from __future__ import annotations

import math
import os
from pathlib import Path

__all__ = ["cores"]

_CPU_MAX = Path("/sys/fs/cgroup/cpu.max")  # control groups, version 2


def cores(cpu_max: Path = _CPU_MAX) -> int:
    """At least one. A part of a core counts as a whole one."""
    # macOS has no affinity.
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        quota, period = cpu_max.read_text().split()
        limit = math.ceil(int(quota) / int(period))
    except (OSError, ValueError, ZeroDivisionError):  # `max`: no limit
        return allowed
    return max(1, min(allowed, limit))
