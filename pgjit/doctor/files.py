"""What the rights of the configured files and folders mean. Pure but for `stat`.

Decides who may read or change a file without harm. Links are followed: the file counts, and the folder that the
configured path is in.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from pgjit.doctor.finding import Finding, Severity

__all__ = ["ConfiguredFile", "FileKind", "file_findings"]


class FileKind(StrEnum):
    SECRET = "secret"  # noqa: S105 - a private key or a password
    RULE = "rule"  # what it says decides who gets in: configuration, policies, certificates of authorities
    DATA = "data"  # the journal and the store: made by pgjit, and for nobody else


@dataclass(frozen=True, slots=True)
class ConfiguredFile:
    """`key`: of the configuration, such as `tls.key`."""

    key: str
    path: Path
    kind: FileKind


_WHY = {
    "file-missing": "pgjit cannot use it",
    "secret-readable": "who has it can log in, or pass as pgjit",
    "data-readable": "the journal has the texts and values of statements; the store has who may connect",
    "file-writable": "who changes it can give themselves access, or replace pgjit's keys",
    "folder-writable": "who may write there can put another file in its place",
    "file-of-another-user": "its owner can change it",
}
_ADVICE = {
    "file-missing": "Correct the path in the configuration.",
    "secret-readable": "Give it mode 0600, or 0640 with a group that only pgjit's user is in.",
    "data-readable": "Give the folder mode 0700, and the file 0600.",
    "file-writable": "Take the right to write away: chmod go-w.",
    "folder-writable": "Take the right to write away: chmod o-w.",
    "file-of-another-user": "Make it root's, or the user's that runs `pgjit serve`.",
}
_MESSAGE = {
    "file-missing": "files cannot be found",
    "secret-readable": "every user of this machine may read secrets",
    "data-readable": "every user of this machine may read what pgjit keeps",
    "file-writable": "others may change files",
    "folder-writable": "every user of this machine may replace files",
    "file-of-another-user": "files belong to another user than root and the one that runs this",
}
_WARNINGS = frozenset({"file-of-another-user"})


def file_findings(files: Iterable[ConfiguredFile], user: int | None = None) -> Iterator[Finding]:
    """One for each kind of fault, with all files that have it; or one note. `user`: who runs pgjit."""
    user = os.getuid() if user is None else user
    files = list(files)
    found: dict[str, list[str]] = {reference: [] for reference in _MESSAGE}
    for each in files:
        for reference in _faults(each, user):
            found[reference].append(f"{each.path} ({each.key})")
    for reference, objects in found.items():
        if objects:
            yield Finding(
                severity=Severity.WARNING if reference in _WARNINGS else Severity.DANGER,
                reference=reference,
                message=_MESSAGE[reference],
                why=_WHY[reference],
                objects=tuple(objects),
                advice=_ADVICE[reference],
            )
    if not any(found.values()):
        yield Finding(
            severity=Severity.NOTE,
            reference="files",
            message=f"the rights of {len(files)} files and folders are as they should be",
            why="no other user can read secrets, or change what decides who gets in",
        )
    if user == 0:
        yield Finding(
            severity=Severity.NOTE,
            reference="run-as-root",
            message="this runs as root, who may read everything",
            why="whether pgjit's own user may read the files is not known",
            advice="Run it as the user that runs `pgjit serve`.",
        )


def _faults(each: ConfiguredFile, user: int) -> Iterator[str]:
    try:
        status, folder = each.path.stat(), each.path.parent.stat()
    except FileNotFoundError:
        if each.kind is not FileKind.DATA:  # made at the first start
            yield "file-missing"
        return
    except OSError:
        yield "file-missing"
        return
    mode = status.st_mode
    if mode & stat.S_IROTH and each.kind is not FileKind.RULE:
        yield "secret-readable" if each.kind is FileKind.SECRET else "data-readable"
    if mode & stat.S_IWOTH or (mode & stat.S_IWGRP and each.kind is FileKind.SECRET):
        yield "file-writable"
    if folder.st_mode & stat.S_IWOTH and not folder.st_mode & stat.S_ISVTX:
        yield "folder-writable"
    if user and status.st_uid not in (0, user):
        yield "file-of-another-user"
