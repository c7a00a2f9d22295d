"""What the HTTP API asks of the journals of this node: where they are, and their keys, from the configuration."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from pgjit.api.audit_answers import ChildAnswers, answers_of
from pgjit.api.journal_proofs import ChildProofs
from pgjit.audit.proof.proved_journals import configured_keys
from pgjit.config import Config

__all__ = ["journal_answers", "journal_proofs"]


def journal_answers(config: Config) -> ChildAnswers:
    return answers_of(config.path(config.file.journal.folder), config.file.journal.archive)


def journal_proofs(config: Config, clock: Callable[[], datetime]) -> ChildProofs:
    """The proofs of all journals of this node, its other workers' included, with the keys of the configuration."""
    section = config.file.journal
    folder = config.path(section.folder)

    def source() -> dict[str, object]:
        keys = configured_keys(section.checkpoint, config.folder, folder)
        return {"folders": [str(folder)], "archive": section.archive, "beside": str(config.folder), "keys": keys}

    return ChildProofs(source, folder / "verification", clock)
