"""What a look at a login role finds: values only, with the SQL that would put it right."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

__all__ = ["Finding", "Severity"]


class Severity(StrEnum):
    DANGER = "danger"  # harm by right, the moment that one statement gets past the rules
    WARNING = "warning"  # a right that reading needs not, or that makes an end less certain
    NOTE = "note"  # good to know


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """`fix` is run by a superuser in the connection's database; where no SQL does, `advice` says what does."""

    severity: Severity
    reference: str  # kebab-case
    message: str  # lower case, without a final period
    why: str  # what an agent could do with it
    objects: tuple[str, ...] = ()
    fix: tuple[str, ...] = ()
    advice: str | None = None
