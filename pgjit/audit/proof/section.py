"""The section `journal.checkpoint` of the configuration. Decides its keys, their limits and their defaults."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import httpx
from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from pgjit.audit.proof.note import COSIGNATURE, NoteRejected, VerifierKey
from pgjit.document import Document

__all__ = ["CheckpointSection", "ReceiverSection", "WitnessSection", "check_receivers"]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


def _https(value: str) -> str:
    try:
        url = httpx.URL(value)
    except httpx.InvalidURL:
        raise ValueError("it is not a URL") from None
    if url.scheme not in ("http", "https") or not url.host:
        raise ValueError("a URL begins with https:// or http://")
    return value


class ReceiverSection(_Section):
    """Where each checkpoint is sent. One that pgjit's own machine cannot change is what makes it a proof."""

    kind: Literal["folder", "webhook", "otlp", "stdout"] = Field(
        description="`folder` adds a line to a file for each journal; `webhook` posts the signed note as text/plain; "
        "`otlp` sends it to the collector of `otlp` as a log record; "
        "`stdout` prints a line of JSON"
    )
    folder: Path | None = Field(default=None, description="with `folder`: an existing folder, of another machine")
    url: str | None = Field(default=None, description="with `webhook`: its URL")

    @field_validator("url")
    @classmethod
    def _url(cls, value: str | None) -> str | None:
        return None if value is None else _https(value)

    @model_validator(mode="after")
    def _own_key(self) -> ReceiverSection:
        for kind, value in (("folder", self.folder), ("webhook", self.url)):
            if (kind == self.kind) != (value is not None):
                raise ValueError("`folder` is given with `kind: folder`, and `url` with `kind: webhook`")
        return self


class WitnessSection(_Section):
    """A witness (c2sp.org/tlog-witness) that cosigns checkpoints."""

    url: str = Field(description="the witness's submission prefix; `/add-checkpoint` is added")
    key: str = Field(description="the witness's public key, `name+id+key`")

    @field_validator("url")
    @classmethod
    def _url(cls, value: str) -> str:
        return _https(value)

    @field_validator("key")
    @classmethod
    def _key(cls, value: str) -> str:
        try:
            key = VerifierKey.parse(value)
        except NoteRejected as error:
            raise ValueError(str(error)) from None
        if key.kind != COSIGNATURE:
            raise ValueError("the key of a witness has the type 04 (cosignature/v1)")
        return value


class CheckpointSection(_Section):
    """How the journal is proved: who signs its checkpoints, how often, and where they go."""

    key: Path | None = Field(
        default=None,
        description=(
            "private key in PEM (Ed25519), mode 0600, or 0640 if it is root's; `pgjit audit key new` makes one. "
            "Without it and without `command`, one is made beside the journal's folder at the first start"
        ),
    )
    command: tuple[str, ...] | None = Field(
        default=None,
        min_length=1,
        description="instead of `key`: a command that gets the bytes on its standard input and prints the base64 of "
        "their Ed25519 signature",
    )
    public_key: str | None = Field(default=None, description="with `command`: its public key, a PEM file")
    previous_keys: tuple[str, ...] = Field(
        default=(), description="public keys that signed before: PEM files, or `name+id+key`"
    )
    every_seconds: float = Field(
        default=10, ge=0.1, le=3600, description="a checkpoint at least this often, with news"
    )
    every_records: int = Field(default=10_000, ge=1, le=1_000_000, description="and after so many records")
    heartbeat_seconds: float = Field(
        default=3600, ge=1, le=86_400, description="without news, the checkpoint is signed and sent again this often"
    )
    send: dict[str, ReceiverSection] = Field(default={}, description="receivers of each checkpoint")
    witnesses: dict[str, WitnessSection] = Field(default={}, description="witnesses that cosign each checkpoint")

    @model_validator(mode="after")
    def _one_signer(self) -> CheckpointSection:
        if self.key is not None and self.command is not None:
            raise ValueError("give either `key` or `command`")
        if (self.command is None) != (self.public_key is None):
            raise ValueError("`command` and `public_key` are given together")
        return self


def check_receivers(document: Document, section: CheckpointSection, *, collector: bool) -> None:
    """Add what is wrong with the receivers to `document`. `collector`: whether the configuration has one."""
    for name, receiver in section.send.items():
        if receiver.kind == "otlp" and not collector:
            where = ("journal", "checkpoint", "send", name, "kind")
            document.fault(where, "needs a collector: add the section `otlp`")
