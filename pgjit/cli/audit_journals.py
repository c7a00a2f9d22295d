"""Which journals the commands of proof read, and with which public keys they check them.

Decides that folders with the same origin are one journal, that a folder without an origin (an archive) belongs to the
only journal that was given, and which keys count when none is given: those of the configuration.
"""

from __future__ import annotations

import glob
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pgjit.cli.audit_settings import configured_folder, configured_places, journal_section
from pgjit.cli.wrong_usage import WrongUsage

if TYPE_CHECKING:
    from pgjit.audit.proof.journal_files import JournalFiles
    from pgjit.audit.proof.note import VerifierKey
    from pgjit.audit.proof.section import CheckpointSection
    from pgjit.audit.segments.journal_place import JournalPlace

__all__ = ["JournalFolders", "KeyOption", "ProvedJournal", "journal_keys", "proved_journals"]

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


class ProvedJournal:
    """One journal and the keys to check it with."""

    def __init__(self, files: JournalFiles, origin: str, keys: Sequence[VerifierKey]) -> None:
        self.files = files
        self.origin = origin
        self.keys = tuple(keys)


def proved_journals(folders: Sequence[str] | None, keys: Sequence[str] | None, config: Path) -> list[ProvedJournal]:
    """Raises InvalidFile, WrongUsage and OSError."""
    from pgjit.audit.proof.journal_files import JournalFiles
    from pgjit.audit.segments.journal_place import place_of

    section = {} if folders and keys else journal_section(config, "both --journal and --key")
    chosen = list(map(place_of, folders)) if folders else configured_places(section, config)
    given = list(keys) if keys else _configured_keys(section, config, _first_folder(chosen, section, config))
    of_origin: dict[str, list[JournalPlace]] = {}
    archives: list[JournalPlace] = []
    for folder in _expanded(chosen):
        origin = JournalFiles([folder]).origin
        if origin is None:
            archives.append(folder)
        else:
            of_origin.setdefault(origin, []).append(folder)
    if not of_origin and archives:
        of_origin[_name_of_only_key(given)] = []
    if archives and len(of_origin) != 1:
        raise WrongUsage(f"`{archives[0]}` has no file `origin`: give it with the one journal that it is of")
    return [
        ProvedJournal(JournalFiles([*places, *archives]), origin, journal_keys(given, origin))
        for origin, places in of_origin.items()
    ]


def journal_keys(given: Sequence[str], origin: str) -> list[VerifierKey]:
    """The keys among these that may sign the journal `origin`. Raises WrongUsage and OSError."""
    from pgjit.audit.proof.key_file import KeyUnusable, verifier_key

    try:
        keys = [verifier_key(text, origin) for text in given]
    except KeyUnusable as fault:
        raise WrongUsage(str(fault)) from None
    own = [key for key in keys if key.name == origin]
    if not own:
        raise WrongUsage(f"no key is for the journal `{origin}`: they are for {_names(keys)}")
    return own


def _names(keys: Sequence[VerifierKey]) -> str:
    return ", ".join(f"`{key.name}`" for key in keys) or "none"


def _name_of_only_key(given: Sequence[str]) -> str:
    """The journal's files are without their origin; a key that has a name says it."""
    from pgjit.audit.proof.key_file import KeyUnusable, verifier_key

    try:
        names = {verifier_key(text, "").name for text in given}
    except (KeyUnusable, ValueError):
        names = set()
    if len(names) != 1:
        raise WrongUsage("the folder has no file `origin`: give the key as `name+id+key`, which names it")
    return names.pop()


def _first_folder(places: Sequence[JournalPlace], section: dict[str, Any], config: Path) -> Path:
    """Beside it is the key that pgjit made."""
    return next((each for each in places if isinstance(each, Path)), configured_folder(section, config))


def _expanded(places: Sequence[JournalPlace]) -> list[JournalPlace]:
    """A place of several journals stands for them."""
    from pgjit.audit.segments.journal_place import journals_at

    expanded: list[JournalPlace] = []
    for place in places:
        if isinstance(place, Path) and not place.is_dir():
            raise NotADirectoryError(20, "there is no such folder", str(place))
        found = journals_at(place)
        if not found and not isinstance(place, Path):
            raise FileNotFoundError(2, "there is no segment of a journal", str(place))
        expanded += found or [place]
    return expanded


def _configured_keys(section: dict[str, Any], config: Path, folder: Path) -> list[str]:
    from pydantic import ValidationError

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
    return _keys_of(checkpoint, config, folder)


def _keys_of(checkpoint: CheckpointSection, config: Path, folder: Path) -> list[str]:
    from pgjit.audit.proof.key_file import default_key_path

    if checkpoint.public_key is not None:
        current = [_placed(checkpoint.public_key, config)]
    elif checkpoint.key is not None:
        current = [str(config.parent / checkpoint.key.expanduser())]
    else:  # each worker has made one of its own
        alone = default_key_path(folder)
        current = [str(each) for each in sorted(folder.parent.glob(f"{glob.escape(folder.name)}.*.key"))]
        current = [str(alone), *current] if alone.exists() or not current else current
    return [*current, *(_placed(text, config) for text in checkpoint.previous_keys)]


def _placed(text: str, config: Path) -> str:
    """A key as a text, or a file beside the configuration."""
    path = config.parent / Path(text).expanduser()
    return str(path) if path.exists() or "+" not in text else text
