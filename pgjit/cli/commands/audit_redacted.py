"""`pgjit audit redacted` and `check-value`: what stood in a redacted record, for who knows the value."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pgjit.audit.plain_text import plain
from pgjit.cli.audit_settings import AsJson, ConfigPath, Folders, journal_places
from pgjit.cli.status import Status
from pgjit.cli.wrong_usage import WrongUsage

if TYPE_CHECKING:
    from pgjit.audit.segments.journal_place import JournalPlace

__all__ = ["check_value", "redacted"]

Member = Annotated[
    str | None, typer.Option("--member", metavar="MEMBER", help="`statement/1`, `parameters/2`, `message/1`, ...")
]
Value = Annotated[str | None, typer.Option("--value", metavar="TEXT", help="The value that may have stood there.")]


def redacted(
    record: Annotated[str, typer.Argument(help="The number of a record, or an execution's id (SESSION/NUMBER).")],
    member: Member = None,
    value: Value = None,
    as_json: AsJson = False,
    folders: Folders = None,
    config: ConfigPath = Path("pgjit.yaml"),
) -> int:
    """List what was redacted in a record, with the salts; or check whether a value stood there.

    Reads the salts beside the journal. Who has the record, the value and its salt can check that the value stood
    there: `pgjit audit check-value`. The exit code is 1 if it is another value.
    """
    from pgjit.audit.proof.proving import CannotProve
    from pgjit.audit.redaction.revealing import NotRedacted, member_salts, redacted_members
    from pgjit.audit.segments import SegmentDamaged

    if (member is None) != (value is None):
        raise WrongUsage("give both --member and --value, or none")
    try:
        files, line = _found(_journals(folders, config, record), record)
        members = redacted_members(line)
        salts = next(
            filter(None, (member_salts(folder, members) for folder in files if isinstance(folder, Path))), None
        )
        if member is not None and value is not None:
            if salts is None:
                return _erased(members.salts)
            return _verdict(member, holds=members.holds(member, salts.get(member, bytes(16)), value))
    except (CannotProve, NotRedacted, SegmentDamaged) as fault:
        print(f"error: {plain(str(fault))} [not-redacted]", file=sys.stderr)
        return Status.FAILED
    rows = [
        {"member": name, "commitment": committed.hex(), "salt": None if salts is None else salts[name].hex()}
        for name, committed in members.commitments.items()
    ]
    if as_json:
        from pgjit.cli.audit_output import print_json

        print_json({"execution": members.execution, "salts": members.salts, "values": rows})
    else:
        for row in rows:
            print(f"{plain(str(row['member']))}  commitment {row['commitment']}  salt {row['salt'] or 'erased'}")
    return Status.OK


def check_value(
    file: Annotated[Path, typer.Argument(help="A record as a line of JSON, or a file of `pgjit audit prove`.")],
    member: Annotated[str, typer.Option("--member", metavar="MEMBER", help="`statement/1`, `parameters/2`, ...")],
    salt: Annotated[str, typer.Option("--salt", metavar="HEX", help="As `pgjit audit redacted` shows it.")],
    value: Annotated[str, typer.Option("--value", metavar="TEXT", help="The value that may have stood there.")],
) -> int:
    """Check that a value stood in a redacted record. Needs the record, the value and its salt, and no journal.

    That the record is in a journal is checked by `pgjit audit check-proof`.
    """
    from pgjit.audit.proof.inclusion_file import InclusionFile
    from pgjit.audit.proof.note import NoteRejected
    from pgjit.audit.redaction.revealing import NotRedacted, redacted_members

    content = file.read_bytes()
    try:
        line = content if content.startswith(b"{") else InclusionFile.parse(content).line
        return _verdict(member, holds=redacted_members(line).holds(member, bytes.fromhex(salt), value))
    except (NoteRejected, NotRedacted) as fault:
        print(f"error: `{file}`: {plain(str(fault))} [not-redacted]", file=sys.stderr)
        return Status.FAILED
    except ValueError:
        raise WrongUsage("--salt is 32 hexadecimal digits") from None


def _journals(folders: list[str] | None, config: Path, record: str) -> list[list[JournalPlace]]:
    """The places of each journal; in an archive of several, those of the configured folder. Raises WrongUsage."""
    from pgjit.audit.segments.journal_place import journals_at, origin_at

    found = [journals_at(place) or [place] for place in journal_places(folders, config)]
    origins = {each: origin_at(each) for places in found for each in places}
    chosen = [each for places in (found if folders else found[:1]) for each in places]
    own: list[str | None] = list(dict.fromkeys(origin for each in chosen if (origin := origins[each]) is not None))
    if len(own) > 1 and "/" not in record:  # an execution is in one of them
        raise WrongUsage("the numbers of records are of one journal: give it with --journal")
    return [[each for each in origins if origins[each] in (origin, None)] for origin in own or [None]]


def _found(journals: list[list[JournalPlace]], record: str) -> tuple[list[JournalPlace], bytes]:
    """The places of the journal that has the record, and its line. Raises CannotProve and SegmentDamaged."""
    from pgjit.audit.proof.journal_files import JournalFiles
    from pgjit.audit.proof.proving import CannotProve, find_line

    missing: CannotProve | None = None
    for places in journals:
        try:
            return places, find_line(JournalFiles(places).segments, record)[1]
        except CannotProve as fault:
            missing = missing or fault
    assert missing is not None
    raise missing


def _verdict(member: str, *, holds: bool) -> int:
    if holds:
        print(f"it holds: this value stood in {plain(member)}")
        return Status.OK
    print(f"error: another value stood in {plain(member)} [value-differs]", file=sys.stderr)
    return Status.FAILED


def _erased(name: str) -> int:
    print(
        f"error: the salts {plain(name)} were removed: no value can be tested any more [salts-erased]",
        file=sys.stderr,
    )
    return Status.FAILED
