"""Where tests keep their files: in memory where there is room for them, for a commit need not wait for a disk.

A run writes less than 500 MB, and the files of the last run stay to be looked at. `--basetemp` and
`PYTEST_DEBUG_TEMPROOT` say another place. Servers keep their data where Python's `tempfile` says.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

__all__ = ["has_room"]

_IN_MEMORY = Path("/dev/shm")
_ROOM = 4 * 1024**3
_PLACE = "PYTEST_DEBUG_TEMPROOT"


def has_room(place: Path, bytes_wanted: int = _ROOM) -> bool:
    """Whether files can be written there, as many as that, and programs among them can be run."""
    try:
        facts = os.statvfs(place)
    except OSError:
        return False
    free = facts.f_bavail * facts.f_frsize
    return free >= bytes_wanted and not facts.f_flag & os.ST_NOEXEC and os.access(place, os.W_OK)


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    if not config.option.basetemp and has_room(_IN_MEMORY):  # a worker has it from the run
        os.environ.setdefault(_PLACE, str(_IN_MEMORY))
