"""Which journals the commands of proof read, and with which public keys they check them.

Decides what the options mean; `audit/proof/proved_journals.py` decides which journals are in a place.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pgjit.cli.audit_settings import configured_folder, configured_places, journal_section
from pgjit.cli.wrong_usage import WrongUsage

if TYPE_CHECKING:
    from pgjit.audit.proof.note import VerifierKey
    from pgjit.audit.proof.proved_journals import ProvedJournal
    from pgjit.audit.segments.journal_place import JournalPlace

__all__ = ["JournalFolders", "KeyOption", "journal_keys", "proved_journals"]

JournalFolders = Annotated[
    list[str] | None,
    typer.Option(
        "--journal",
        metavar="PLACE",
        help="The journal's folder, and folders or URLs (`s3://...`) of its archived segments; may be repeated. "
        "By default the configuration's.",
    ),
]
KeyOption = Annotated[
    list[str] | None,
    typer.Option(
        "--key",
        metavar="KEY",
        help="A public key: `name+id+key`, or a file with that or a PEM; may be repeated, after a change of keys. "
        "By default the configuration's, which proves nothing against who can change the configuration.",
    ),
]


def proved_journals(folders: Sequence[str] | None, keys: Sequence[str] | None, config: Path) -> list[ProvedJournal]:
    """Raises InvalidFile, WrongUsage and OSError."""
    from pgjit.audit.proof.proved_journals import NotProvable, journals_with_keys
    from pgjit.audit.segments.journal_place import place_of

    section = {} if folders and keys else journal_section(config, "both --journal and --key")
    chosen = list(map(place_of, folders)) if folders else configured_places(section, config)
    given = list(keys) if keys else _configured_keys(section, config, _first_folder(chosen, section, config))
    try:
        return journals_with_keys(chosen, given)
    except NotProvable as fault:
        raise WrongUsage(str(fault)) from None


def journal_keys(given: Sequence[str], origin: str) -> list[VerifierKey]:
    """The keys among these that may sign the journal `origin`. Raises WrongUsage and OSError."""
    from pgjit.audit.proof import proved_journals as proved

    try:
        return proved.journal_keys(given, origin)
    except proved.NotProvable as fault:
        raise WrongUsage(str(fault)) from None


def _first_folder(places: Sequence[JournalPlace], section: dict[str, Any], config: Path) -> Path:
    """Beside it is the key that pgjit made."""
    return next((each for each in places if isinstance(each, Path)), configured_folder(section, config))


def _configured_keys(section: dict[str, Any], config: Path, folder: Path) -> list[str]:
    from pydantic import ValidationError

    from pgjit.audit.proof.proved_journals import configured_keys
    from pgjit.audit.proof.section import CheckpointSection
    from pgjit.errors import InvalidFile

    try:
        checkpoint = CheckpointSection.model_validate(section.get("checkpoint", {}))
    except ValidationError as error:
        faults = [
            f"{config}: journal.checkpoint.{'.'.join(map(str, each['loc']))}: {each['msg']}"
            for each in error.errors()
        ]
        raise InvalidFile("the configuration", faults) from None
    return configured_keys(checkpoint, config.parent, folder)
