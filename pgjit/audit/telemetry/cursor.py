"""How far the export has come, in a file: the index of the next line, and the sessions that are open there.

Decides when the file counts: it is replaced as a whole, and a file that cannot be read is an error, not a beginning.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

import orjson

__all__ = ["CursorDamaged", "CursorFile", "ExportPosition"]

Facts = dict[str, str | int]


class CursorDamaged(Exception):
    """The file is not a cursor. The text says what to do."""


@dataclass(slots=True)
class ExportPosition:
    index: int = 0
    """Of the next line to send."""
    origin: str = ""
    """Of the journal: a cursor of another journal does not count."""
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
        new = self._path.with_name(self._path.name + ".new")
        descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(orjson.dumps(content))
            file.flush()
            os.fsync(file.fileno())
        new.replace(self._path)
