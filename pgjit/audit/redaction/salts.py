"""The salts of commitments. Each is made from the key of its day, the execution's id and the member's name.

Decides where the keys are and how long. A key is on the disk before the first record that needs it. A file that is
gone is never made again with the same key: what was committed under it is erased.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
import os
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import cached_property
from pathlib import Path
from typing import Protocol

from pgjit.audit.durable_file import replace_file
from pgjit.audit.redaction.commitment import SALT_BYTES

__all__ = ["SaltFiles", "SaltKey", "SaltSource", "read_salt_key"]

_SALT_FOLDER = "salts"
"""In the folder of the journal."""

_log = logging.getLogger("pgjit.journal")
_KEY_BYTES = 32
_NAME = re.compile(r"(?P<day>[0-9]{4}-[0-9]{2}-[0-9]{2})/(?P<id>[0-9a-f]{16})\Z")
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}\Z")
_MOST_KEPT = 4


@dataclass(frozen=True)
class SaltKey:
    day: str
    secret: bytes

    @cached_property
    def name(self) -> str:
        """In records: the day, and a hash that tells one key of the day from another. It does not give the key."""
        return f"{self.day}/{hashlib.sha256(b'pgjit/salt-key/v1' + self.secret).hexdigest()[:16]}"

    def salt(self, execution: str, member: str) -> bytes:
        """The salt of one member of one record."""
        return hmac.digest(self.secret, f"{execution}\0{member}".encode(), "sha256")[:SALT_BYTES]


class SaltSource(Protocol):
    def key_for(self, at: datetime) -> SaltKey:
        """The key for a record of this moment. Raises OSError: then the record cannot be written."""


class SaltFiles:
    """The keys in `<folder>/salts`, a file for each day in UTC."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder / _SALT_FOLDER
        self._place = str(self._folder)
        self._keys: dict[str, SaltKey] = {}

    def key_for(self, at: datetime) -> SaltKey:
        day = at.astimezone(UTC).date().isoformat()
        key = self._keys.get(day)
        # The file is looked for each time: a key that is only in memory could never be used to prove anything.
        if key is not None and os.access(f"{self._place}/{day}", os.F_OK):
            return key
        path = self._folder / day
        if len(self._keys) >= _MOST_KEPT:
            self._keys.clear()
        key = self._keys[day] = _read(path, day) or _made(path, day)
        return key

    def days_before(self, first: date) -> list[str]:
        """The days before `first` whose keys are there. Raises OSError."""
        if not self._folder.is_dir():
            return []
        names = (path.name for path in self._folder.iterdir())
        return sorted(name for name in names if _DAY.match(name) and name < first.isoformat())

    def drop(self, days: Sequence[str]) -> None:
        """Remove the keys of these days. Raises OSError."""
        for day in days:
            (self._folder / day).unlink(missing_ok=True)
            self._keys.pop(day, None)
        _log.info("salts of %s are removed: what was redacted on these days is erased", ", ".join(days))


def read_salt_key(folder: Path, name: str) -> SaltKey | None:
    """The key that a record names, from the journal in `folder`. None: it was removed. Raises OSError."""
    written = _NAME.match(name)
    key = None if written is None else _read(folder / _SALT_FOLDER / written["day"], written["day"])
    return key if key is not None and key.name == name else None


def _read(path: Path, day: str) -> SaltKey | None:
    try:
        secret = path.read_bytes()
    except FileNotFoundError:
        return None
    if len(secret) != _KEY_BYTES:
        raise OSError(f"{path} is no salt key: it has {len(secret)} bytes, not {_KEY_BYTES}")
    return SaltKey(day, secret)


def _made(path: Path, day: str) -> SaltKey:
    path.parent.mkdir(mode=0o700, exist_ok=True)
    key = SaltKey(day, secrets.token_bytes(_KEY_BYTES))
    replace_file(path, key.secret)
    return key
