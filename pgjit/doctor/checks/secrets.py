"""Options and settings in the system catalogs that may hold secrets and that the login role can read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from pgjit.doctor.check import Check
from pgjit.doctor.finding import Finding, Severity
from pgjit.doctor.subject import Subject
from pgjit.server.catalog_secrets import READABLE_BY_ALL

__all__ = ["SECRETS", "StoredSecret"]


class StoredSecret(NamedTuple):
    place: str  # such as pg_roles.rolconfig
    setting: str | None  # None: an option


def _secrets(rows: Sequence[StoredSecret], _subject: Subject) -> Iterator[Finding]:
    if rows:
        yield Finding(
            severity=Severity.WARNING,
            reference="secrets-in-catalogs",
            message="it can read options and settings that may hold secrets",
            why="Until they are removed, pgjit refuses these columns of system catalogs (not under `access: full`).",
            objects=tuple(f"{row.place}: {row.setting}" if row.setting else row.place for row in rows),
            advice="Keep passwords, keys and tokens out of settings and options that everybody can read. Remove them "
            "with ALTER ROLE ... RESET, ALTER DATABASE ... RESET or OPTIONS (DROP ...), then change them. "
            "A policy can allow settings that are no secret: {kinds: show, settings: ...}.",
        )


SECRETS = Check(
    "secrets in system catalogs", f"SELECT * FROM ({READABLE_BY_ALL}) AS lying ORDER BY 1, 2", StoredSecret, _secrets
)
