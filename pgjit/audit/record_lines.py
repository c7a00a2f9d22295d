"""The lines of records that are written together: each batch whole, or none of it.

Decides that an event which cannot be written down takes no other batch along.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from datetime import datetime

from pgjit.audit.event import Event, time_of_event
from pgjit.audit.record import render
from pgjit.audit.redaction.salts import SaltSource

__all__ = ["RecordLines"]

_log = logging.getLogger("pgjit.journal")


class RecordLines:
    def __init__(self, salts: SaltSource | None = None) -> None:
        self._salts = salts
        self._logged = False

    def of(
        self, batches: Sequence[Sequence[Event]], seq: int, first: Sequence[Callable[[datetime], Event]]
    ) -> tuple[list[bytes], list[int | None]]:
        """The lines from number `seq` on, and the size of each batch; None for one that cannot be written down.

        `first`: events that come before all others.
        """
        lines: list[bytes] = []
        sizes: list[int | None] = []
        for events in batches:
            begin = len(lines)
            try:
                if not begin and events:
                    lines += [render(each(time_of_event(events[0])), seq + at) for at, each in enumerate(first)]
                if len(events) == 1 and len(lines) == begin:  # nearly always
                    line = render(events[0], seq + begin, self._salts)
                    lines.append(line)
                    sizes.append(len(line))
                    continue
                for event in events:
                    lines.append(render(event, seq + len(lines), self._salts))
            except Exception as error:  # noqa: BLE001 - whatever it is, the other batches are written
                self._log(error)
                del lines[begin:]
                sizes.append(None)
            else:
                sizes.append(sum(map(len, lines[begin:])))
        return lines, sizes

    def log_again(self) -> None:
        """The next missing salt is logged again."""
        self._logged = False

    def _log(self, error: Exception) -> None:
        if not isinstance(error, OSError):
            _log.error("an event cannot be recorded, so it does not happen", exc_info=error)
        elif not self._logged:
            self._logged = True
            _log.error("a policy redacts and there is no salt, so its statements are refused: %s", error)
