"""How far the export has come, in a file: the index of the next line, and the sessions that are open there.

Decides when the file counts: it is replaced as a whole, and a file that cannot be read is an error, not a beginning.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import orjson

from pgjit.audit.durable_file import replace_file

__all__ = ["CursorDamaged", "CursorFile", "ExportPosition"]

Facts = dict[str, str | int]


class CursorDamaged(Exception):
    """The file is not a cursor. The text says what to do."""


@dataclass(slots=True)
class ExportPosition:
    index: int = 0
    """The index of the next line to send."""
    origin: str = ""
    """The journal's origin: a cursor of another journal does not count."""
    sessions: dict[str, Facts] = field(default_factory=dict)
    """What spans need of the sessions that are open at this line, by session id."""


class CursorFile:
    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self) -> ExportPosition:
        """The position; the beginning if there is no file yet. Raises CursorDamaged and OSError."""
        try:
            content = self._path.read_bytes()
        except FileNotFoundError:
            return ExportPosition()
        try:
            kept = orjson.loads(content)
            index, origin, sessions = kept["index"], kept["origin"], kept["sessions"]
            if not (isinstance(index, int) and index >= 0 and isinstance(origin, str) and isinstance(sessions, dict)):
                raise ValueError("its members have other types")
        except (KeyError, TypeError, ValueError) as fault:
            raise CursorDamaged(
                f"{self._path} is not a cursor ({fault}): remove it to send the whole journal again"
            ) from None
        return ExportPosition(index, origin, sessions)

    def write(self, position: ExportPosition) -> None:
        """Replace the file. Raises OSError."""
        content = {"index": position.index, "origin": position.origin, "sessions": position.sessions}
        replace_file(self._path, orjson.dumps(content))
