"""Options that the commands of `pgjit audit` share, and how they open journals: with progress, and with notices.

Decides which journal is read (those of `--journal`, else the one of the configuration), and that an answer that may
lack something says so and ends with 1.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from pgjit.audit.plain_text import plain
from pgjit.cli.status import Status

if TYPE_CHECKING:
    from pgjit.audit.reading.reader import Reader
    from pgjit.audit.segments.journal_place import JournalPlace

__all__ = [
    "AsCsv",
    "AsJson",
    "Audit",
    "CacheFolder",
    "CacheProgress",
    "ConfigPath",
    "Folders",
    "WithCatalog",
    "configured_folder",
    "configured_places",
    "journal_places",
    "journal_section",
]

Folders = Annotated[
    list[str] | None,
    typer.Option(
        "--journal",
        metavar="PLACE",
        help="A journal's folder, a folder of several, or the URL of an archive (`s3://...`); may be repeated. "
        "By default the configuration's.",
    ),
]
ConfigPath = Annotated[Path, typer.Option("--config", help="The configuration that names the journal.")]
CacheFolder = Annotated[
    Path | None,
    typer.Option(
        "--cache",
        metavar="FOLDER",
        envvar="PGJIT_AUDIT_CACHE",
        help="Where closed segments are kept in columns, for speed; by default ~/.cache/pgjit/audit.",
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print the result as one JSON document.")]
AsCsv = Annotated[bool, typer.Option("--csv", help="Print the result as CSV.")]
WithCatalog = Annotated[
    bool, typer.Option("--catalog", help="Also what psql and drivers ask of the catalogs by themselves.")
]
_BAR: Final = 24


@dataclass(slots=True)
class Audit:
    """What the options say. `complete` is False after an answer that may lack something."""

    folders: list[str] | None
    config: Path
    cache: Path | None
    complete: bool = field(default=True, init=False)

    @contextmanager
    def opened(self) -> Iterator[Reader]:
        """Raises PgjitError and OSError."""
        import duckdb

        from pgjit.audit.reading.faults import AuditFault, AuditUnavailable
        from pgjit.audit.reading.reader import opened_reader
        from pgjit.audit.reading.segment_cache import SegmentCache, default_cache

        folder = self.cache or default_cache()
        try:
            cache = SegmentCache(folder)
            missing: list[str] = []
            places = journal_places(self.folders, self.config, missing)
            with opened_reader(places, cache, CacheProgress()) as reader:
                reader.notices += missing
                yield reader
                for notice in reader.notices:
                    print(f"NOT COMPLETE: {plain(notice)}", file=sys.stderr)
                self.complete = not reader.notices
        except AuditUnavailable as fault:
            print(fault.terminal(), file=sys.stderr)
            raise typer.Exit(Status.UNAVAILABLE) from None
        except duckdb.Error as fault:
            raise AuditFault(
                "audit could not be read",
                reference="audit-failed",
                detail=plain(" ".join(str(fault).split())),
                hint=f"If a file of {folder} is damaged, remove that folder: it is made anew.",
            ) from None

    @property
    def status(self) -> Status:
        return Status.OK if self.complete else Status.FAILED


class CacheProgress:
    """A bar on standard error while the cache is made; without a terminal one line at the beginning."""

    def __init__(self) -> None:
        self._terminal = sys.stderr.isatty()
        self._begun = False

    def __call__(self, done: int, whole: int) -> None:
        megabytes = f"{whole / 1_000_000:,.0f} MB of closed segments"
        if not self._terminal:
            if not self._begun:
                print(f"reading {megabytes} for the first time", file=sys.stderr, flush=True)
            self._begun = True
            return
        if done >= whole:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)
            return
        filled = _BAR * done // max(whole, 1)
        bar = f"[{'#' * filled}{'.' * (_BAR - filled)}] {100 * done // max(whole, 1)}%"
        print(f"\r\x1b[K{bar} of {megabytes}, for the first time", end="", file=sys.stderr, flush=True)


def journal_places(
    places: Sequence[str] | None, config: Path, missing: list[str] | None = None
) -> list[JournalPlace]:
    """The places to read. Only the key `journal` of the configuration matters: faults elsewhere keep nobody out.

    `missing` as for `with_archive`. Raises InvalidFile and OSError.
    """
    from pgjit.audit.segments.journal_place import place_of

    if places:
        return list(map(place_of, places))
    return configured_places(journal_section(config, "the folder with --journal"), config, missing)


def configured_places(section: dict[str, Any], config: Path, missing: list[str] | None = None) -> list[JournalPlace]:
    """The folder of the section `journal`, and its archive where that has more. Raises InvalidFile and OSError."""
    from pgjit.audit.segments.journal_place import with_archive

    archive = section.get("archive")
    url = archive if isinstance(archive, str) else None
    return with_archive(configured_folder(section, config), url, config.parent, missing)


def configured_folder(section: dict[str, Any], config: Path) -> Path:
    """Raises InvalidFile."""
    from pgjit.errors import InvalidFile

    folder = section.get("folder")
    if folder is not None and not isinstance(folder, str):
        raise InvalidFile("the configuration", [f"{config}: `journal.folder` must be a text"])
    return config.parent / Path(folder or "journal").expanduser()


def journal_section(config: Path, instead: str) -> dict[str, Any]:
    """The section `journal`. Faults elsewhere in the configuration keep nobody from the journal.

    `instead`: what to give where there is no configuration. Raises InvalidFile and OSError.
    """
    import yaml

    from pgjit.errors import InvalidFile

    try:
        document = yaml.safe_load(config.read_bytes())
    except FileNotFoundError:
        fault = f"{config}: there is no such file; give --config, or {instead}"
        raise InvalidFile("the configuration", [fault]) from None
    except yaml.YAMLError as error:
        raise InvalidFile("the configuration", [f"{config}: {' '.join(str(error).split())}"]) from None
    section = document.get("journal") if isinstance(document, dict) else None
    return section if isinstance(section, dict) else {}
