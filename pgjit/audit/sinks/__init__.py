"""The audit sinks: each keeps the lines of the journal in one kind of place.

This room decides how lines are stored: in order, by one writer, complete or not at all. `SINKS` lists the sinks by
the `kind` that the configuration gives; a new one takes a row there, and `tests/contracts/sink.py` checks it.

- **sink**: an implementation of `Sink` in `audit/sink.py`. There is one: `FileSink` in `file.py`.
- **append**: all of the lines or none; they survive the end of the process.
- **flush**: everything appended survives a crash of the machine.
- **torn line**: an unfinished line that a crash left at the end; `open` moves it to a file beside the journal.
- **broken**: the content is not known any more, so nothing may be appended until the sink is opened again.

Start with `file.py`. The room does not know what a line contains, nor what a failure means for the journal:
`audit/journal.py` decides that.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from pgjit.audit.sink import Sink
from pgjit.audit.sinks.file import FileSink

__all__ = ["SINKS"]


def _file(path: Path) -> Sink:
    return FileSink(path)


SINKS: Mapping[str, Callable[[Path], Sink]] = {
    "file": _file,
}
