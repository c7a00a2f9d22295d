"""What a person should know of a policy's `redact`: keys that can do nothing, or more than they seem to. Pure.

Stops nothing: `pgjit policy check` and `pgjit check` print it.
"""

from __future__ import annotations

from collections.abc import Iterator

from pgjit.document import Document
from pgjit.policy.policy import Policy, Preset

__all__ = ["record_warnings"]


def record_warnings(policy: Policy, document: Document) -> Iterator[str]:
    if policy.redaction is None or policy.redaction.columns is None:
        return
    place = document.place(("redact", "columns"))
    if policy.record == "statements":
        yield f"{place}: `columns` can redact nothing: under `record: statements` no value is recorded"
    elif policy.statements.access is Preset.FULL:
        yield f"{place}: under `access: full` no name is looked up, so all values of all statements are redacted"
