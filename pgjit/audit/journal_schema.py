"""The JSON schema of the journal's records, which `make docs` writes to `docs/journal.schema.json`.

Decides which shapes there are: one for each type of record. A new type gets its shape in `record_shapes.py` or
`order_shapes.py`, and its place here.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field, RootModel

from pgjit.audit.order_shapes import (
    ApiCalledShape,
    BreakGlassSignedOffShape,
    BreakGlassUsedShape,
    ConfigRefusedShape,
    ConfigReloadedShape,
    JournalGapShape,
    JournalReplacedShape,
    JournalSpaceShape,
    JournalTornShape,
    LockChangedShape,
    LoginRefusedShape,
    NotificationFailedShape,
    PolicyDiffersShape,
    RequestEndedShape,
    RequestMadeShape,
    RequestVerdictShape,
    SaltsDroppedShape,
    SegmentDroppedShape,
    ServiceStartedShape,
    ServiceStoppedShape,
    SessionKilledShape,
    StoreRestoredShape,
    WindowAdoptedShape,
    WindowEndedShape,
    WindowOpenedShape,
    WindowRevokedShape,
)
from pgjit.audit.record import VERSION
from pgjit.audit.record_shapes import (
    ExecutionShape,
    LeftBehindShape,
    OutcomeShape,
    SessionEndedShape,
    SessionOpenedShape,
)

__all__ = ["JournalRecord", "journal_schema"]


_AnyRecord = Annotated[
    SessionOpenedShape | ExecutionShape | OutcomeShape | SessionEndedShape | LeftBehindShape | WindowOpenedShape |
    WindowEndedShape | WindowRevokedShape | WindowAdoptedShape | BreakGlassUsedShape | BreakGlassSignedOffShape |
    RequestMadeShape | RequestVerdictShape | RequestEndedShape | LockChangedShape | SessionKilledShape |
    NotificationFailedShape | ApiCalledShape | LoginRefusedShape | ServiceStartedShape | ServiceStoppedShape |
    ConfigReloadedShape | ConfigRefusedShape |
    JournalGapShape | StoreRestoredShape | PolicyDiffersShape | JournalTornShape | JournalReplacedShape |
    SegmentDroppedShape | SaltsDroppedShape | JournalSpaceShape,
    Field(discriminator="type"),
]  # fmt: skip


class JournalRecord(RootModel[_AnyRecord]):
    """One line of the journal."""


def journal_schema() -> dict[str, Any]:
    """Draft 2020-12. Each type has a definition of its own, which `discriminator` names."""
    schema = JournalRecord.model_json_schema()
    for shape in schema["$defs"].values():
        shape.pop("title", None)
        for member in shape.get("properties", {}).values():
            _tidy(member)
    title = f"pgjit journal record, version {VERSION}"
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "title": title}


def _tidy(member: dict[str, Any]) -> None:
    """A member with a default is one that may be left out. It is never null."""
    member.pop("title", None)
    if "default" in member:
        del member["default"]
        kinds = [each for each in member.pop("anyOf") if each != {"type": "null"}]
        member.update(kinds[0] if len(kinds) == 1 else {"anyOf": kinds})
