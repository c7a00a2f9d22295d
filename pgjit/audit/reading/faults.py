"""What a reader of the journal finds wrong, as errors and as notices. Decides their words."""

from __future__ import annotations

from pathlib import Path

from pgjit.audit.segments.journal_place import JournalPlace
from pgjit.errors import PgjitError

__all__ = [
    "AuditCacheUnusable",
    "AuditFault",
    "AuditUnavailable",
    "JournalUnreadable",
    "NoJournal",
    "QueryRefused",
    "RecordUnknown",
    "ResultTooLarge",
]


class AuditFault(PgjitError):
    """The audit cannot answer."""

    sqlstate = "22023"


class AuditUnavailable(AuditFault):
    """A folder or a file cannot be used."""

    sqlstate = "58030"
    status = 503


class NoJournal(AuditUnavailable):
    sqlstate = "58P01"
    status = 404

    def __init__(self, folder: JournalPlace, why: str) -> None:
        super().__init__(
            f"no journal in `{folder}`",
            reference="journal-not-found",
            detail=why,
            hint="Give the journal's folder with --journal, or the configuration that names it with --config.",
        )


class JournalUnreadable(AuditUnavailable):
    """A file of the journal, or the journal's folder, cannot be read."""

    def __init__(self, path: Path | str, why: str) -> None:
        super().__init__(
            f"journal file `{path}` cannot be read",
            reference="journal-unreadable",
            detail=why,
            hint=(
                "A folder belongs to the user that runs `pgjit serve`: run the command as that user. The library of "
                "an object store looks for credentials in its usual places."
            ),
        )


class AuditCacheUnusable(AuditUnavailable):
    """The reader's own folder cannot be used."""

    def __init__(self, folder: Path, why: str) -> None:
        super().__init__(
            f"cache folder `{folder}` cannot be used",
            reference="audit-cache-unusable",
            detail=why,
            hint="Give a folder of your own with --cache; it must have mode 0700.",
        )


class RecordUnknown(AuditFault):
    """No record, window or session has this id."""

    status = 404

    def __init__(self, kind: str, name: str, hint: str) -> None:
        super().__init__(f"{kind} `{name}` is not in the journal", reference=f"{kind}-unknown", hint=hint)


class QueryRefused(AuditFault):
    """A query of `audit sql` that is not run, or that failed."""

    sqlstate = "42601"

    def __init__(
        self, message: str, *, detail: str | None = None, hint: str | None = None, position: int | None = None
    ) -> None:
        super().__init__(message, reference="audit-query", detail=detail, hint=hint, position=position)


class ResultTooLarge(QueryRefused):
    """A result that is not returned, because it would fill the memory."""

    def __init__(self, most_bytes: int, hint: str = "Select fewer columns, or aggregate, or lower `limit`.") -> None:
        super().__init__(f"result is larger than {most_bytes >> 20} MiB", hint=hint)
