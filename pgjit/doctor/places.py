"""What the probes of the journal's folder and archive mean, as findings. Decides how severe a fault is."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from pgjit.audit.keeping.probing import ProbeResult
from pgjit.doctor.finding import Finding, Severity

__all__ = ["place_findings"]

_WHY = {
    "archive": "closed segments stay on this machine, and none of them is removed",
    "journal folder": "no statement runs while the journal cannot be written",
}


def place_findings(results: Iterable[ProbeResult]) -> Iterator[Finding]:
    """One for each place: also for those that can be used."""
    for each in results:
        reference = each.what.replace(" ", "-")
        if each.fault is not None:
            message = f"{each.what} `{each.place}` cannot be used: {each.fault}"
            yield Finding(
                severity=Severity.DANGER, reference=reference, message=message, why=_WHY[each.what], advice=each.hint
            )
        elif each.warning is not None:
            message = f"{each.what} `{each.place}` can be used, but {each.warning}"
            yield Finding(severity=Severity.WARNING, reference=reference, message=message, why=_WHY[each.what])
        else:
            message = f"{each.what} `{each.place}` can be used"
            why = "a probe was written, read back and deleted"
            yield Finding(severity=Severity.NOTE, reference=reference, message=message, why=why)
