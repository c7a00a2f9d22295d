"""Which journals are in some places, and the public keys to check each of them with.

Decides that places with the same origin are one journal, that a place without an origin (an archive) belongs to the
only journal that was given, and which keys count when none is given: those of the configuration.
"""

from __future__ import annotations

import glob
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from pgjit.audit.proof.journal_files import JournalFiles
from pgjit.audit.proof.key_file import KeyUnusable, default_key_path, verifier_key
from pgjit.audit.proof.note import VerifierKey
from pgjit.audit.proof.section import CheckpointSection
from pgjit.audit.segments.journal_place import JournalPlace, journals_at

__all__ = ["NotProvable", "ProvedJournal", "configured_keys", "journal_keys", "journals_with_keys"]


class NotProvable(ValueError):
    """The places and keys do not go together; the text has the reason."""


class ProvedJournal(NamedTuple):
    """One journal and the keys to check it with."""

    files: JournalFiles
    origin: str
    keys: tuple[VerifierKey, ...]


def journals_with_keys(places: Sequence[JournalPlace], given: Sequence[str]) -> list[ProvedJournal]:
    """The journals in the places or below them. `given`: public keys, as texts or files.

    Raises NotProvable and OSError.
    """
    of_origin: dict[str, list[JournalPlace]] = {}
    archives: list[JournalPlace] = []
    for folder in _expanded(places):
        origin = JournalFiles([folder]).origin
        if origin is None:
            archives.append(folder)
        else:
            of_origin.setdefault(origin, []).append(folder)
    if not of_origin and archives:
        of_origin[_name_of_only_key(given)] = []
    if archives and len(of_origin) != 1:
        raise NotProvable(f"`{archives[0]}` has no file `origin`: give it with the one journal that it is of")
    return [
        ProvedJournal(JournalFiles([*folders, *archives]), origin, tuple(journal_keys(given, origin)))
        for origin, folders in of_origin.items()
    ]


def journal_keys(given: Sequence[str], origin: str) -> list[VerifierKey]:
    """The keys among these that may sign the journal `origin`. Raises NotProvable and OSError."""
    try:
        keys = [verifier_key(text, origin) for text in given]
    except KeyUnusable as fault:
        raise NotProvable(str(fault)) from None
    own = [key for key in keys if key.name == origin]
    if not own:
        names = ", ".join(f"`{key.name}`" for key in keys) or "none"
        raise NotProvable(f"no key is for the journal `{origin}`: they are for {names}")
    return own


def configured_keys(checkpoint: CheckpointSection, beside: Path, folder: Path) -> list[str]:
    """The keys that the configuration names, as texts or files; else those that pgjit made beside `folder`.

    `beside`: the folder from which relative paths count.
    """
    if checkpoint.public_key is not None:
        current = [_placed(checkpoint.public_key, beside)]
    elif checkpoint.key is not None:
        current = [str(beside / checkpoint.key.expanduser())]
    else:  # each worker has made one of its own
        alone = default_key_path(folder)
        current = [str(each) for each in sorted(folder.parent.glob(f"{glob.escape(folder.name)}.*.key"))]
        current = [str(alone), *current] if alone.exists() or not current else current
    return [*current, *(_placed(text, beside) for text in checkpoint.previous_keys)]


def _placed(text: str, beside: Path) -> str:
    """A key as a text, or a file beside the configuration."""
    path = beside / Path(text).expanduser()
    return str(path) if path.exists() or "+" not in text else text


def _name_of_only_key(given: Sequence[str]) -> str:
    """The journal's files are without their origin; a key that has a name says it."""
    try:
        names = {verifier_key(text, "").name for text in given}
    except ValueError:
        names = set()
    if len(names) != 1:
        raise NotProvable("the folder has no file `origin`: give the key as `name+id+key`, which names it")
    return names.pop()


def _expanded(places: Sequence[JournalPlace]) -> list[JournalPlace]:
    """A place of several journals stands for them."""
    expanded: list[JournalPlace] = []
    for place in places:
        if isinstance(place, Path) and not place.is_dir():
            raise NotADirectoryError(20, "there is no such folder", str(place))
        found = journals_at(place)
        if not found and not isinstance(place, Path):
            raise FileNotFoundError(2, "there is no segment of a journal", str(place))
        expanded += found or [place]
    return expanded
