"""The `journal` section of the configuration. Decides its keys, their limits and their defaults."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from pgjit.audit.keeping.archive import archive_fault
from pgjit.audit.keeping.upkeep import Keeping
from pgjit.audit.proof.section import CheckpointSection
from pgjit.audit.rotation import Rotation

__all__ = ["JournalSection"]

_BEFORE = {
    "path": "`folder`: the journal is a folder of segments",
    "sync": "`durability: written` (for `interval`) or `durability: synced` (for `always`)",
}


class JournalSection(BaseModel):
    """Where every execution is recorded."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    folder: Path = Field(
        default=Path("journal"), description="folder of the journal, for this pgjit alone; made if it is missing"
    )
    durability: Literal["written", "synced"] = Field(
        default="written",
        description=(
            "`written`: a record is on disk within a second, and survives the death of pgjit; "
            "`synced`: it is on disk before its statement is forwarded, and survives the death of the machine"
        ),
    )
    segment_bytes: int = Field(
        default=Rotation().bytes, ge=65_536, le=1 << 40, description="size at which a segment is closed"
    )
    segment_hours: float = Field(
        default=24, gt=0, le=24 * 366, description="age of its first record at which a segment is closed"
    )

    compress: bool = Field(default=True, description="closed segments are compressed, as zstd")
    keep_days: int | None = Field(
        default=None,
        ge=3,
        le=36_600,
        description="age at which a closed segment is removed, when all its records have it; without it, never",
    )
    export_wait_days: float = Field(
        default=7,
        ge=0,
        le=36_600,
        description=(
            "with `otlp.logs`: how much longer a segment is kept while the collector does not have all of its "
            "records; not while there is too little space"
        ),
    )
    archive: str | None = Field(
        default=None,
        description=(
            "URL of a directory or object store to which closed segments are copied, as fsspec knows it "
            "(`file:///...`, `s3://...`, `abfs://...`, `gs://...`); no segment is removed before that"
        ),
    )
    space_warn_bytes: int = Field(
        default=1 << 30, ge=0, description="free space on the journal's disk below which there is an alarm"
    )
    salt_days: int | None = Field(
        default=None,
        ge=1,
        le=36_600,
        description=(
            "age in days at which the salts of redacted values are removed: from then on nobody can test a value "
            "against a record; without it, never"
        ),
    )
    checkpoint: CheckpointSection = CheckpointSection()

    @model_validator(mode="before")
    @classmethod
    def _renamed(cls, value: object) -> object:
        for key, now in _BEFORE.items():
            if isinstance(value, Mapping) and key in value:
                raise ValueError(f"`{key}` is now {now}")
        return value

    @field_validator("archive")
    @classmethod
    def _usable(cls, value: str | None) -> str | None:
        if value is not None and (fault := archive_fault(value)) is not None:
            raise ValueError(f"`{value}` cannot be written to: {fault}")
        return value

    @property
    def keeping(self) -> Keeping:
        keep = None if self.keep_days is None else timedelta(days=self.keep_days)
        salts = None if self.salt_days is None else timedelta(days=self.salt_days)
        wait = timedelta(days=self.export_wait_days)
        return Keeping(self.compress, keep, self.archive, self.space_warn_bytes, salts, wait)

    @property
    def rotation(self) -> Rotation:
        return Rotation(self.segment_bytes, timedelta(hours=self.segment_hours))
