"""`pgjit audit prove` and `check-proof`: one line of the journal, proved to a third party."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from pgjit.audit.plain_text import plain
from pgjit.cli.audit_journals import JournalFolders, KeyOption, journal_keys, proved_journals
from pgjit.cli.audit_settings import ConfigPath
from pgjit.cli.status import Status
from pgjit.cli.wrong_usage import WrongUsage

__all__ = ["check_proof", "prove"]


def prove(
    record: Annotated[str, typer.Argument(help="The number of a record, or an execution's id (SESSION/NUMBER).")],
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="FILE", help="By default `record-RECORD.tlog-proof`; `-` prints it."),
    ] = None,
    folders: JournalFolders = None,
    keys: KeyOption = None,
    config: ConfigPath = Path("pgjit.yaml"),
) -> int:
    """Write a proof that a record is in the journal, exactly as it was written.

    The file (c2sp.org/tlog-proof) has the line itself, its path in the tree, and a signed checkpoint. Who has it and
    the public key needs nothing else: `pgjit audit check-proof FILE --key KEY`.
    """
    from pgjit.audit.proof.proving import CannotProve, prove_record
    from pgjit.audit.segments import SegmentDamaged

    journals = proved_journals(folders, keys, config)
    if len(journals) != 1 and "/" not in record:  # an execution is in one of them
        raise WrongUsage("the numbers of records are of one journal: give it with --journal")
    faults: list[str] = []
    for journal in journals:
        try:
            proof = prove_record(journal.files, record, journal.keys)
            break
        except (CannotProve, SegmentDamaged) as fault:
            faults.append(str(fault))
    else:
        print(f"error: {plain('; '.join(dict.fromkeys(faults)))} [cannot-prove]", file=sys.stderr)
        return Status.FAILED
    if str(out) == "-":
        sys.stdout.buffer.write(proof.content())
        return Status.OK
    path = out or Path(f"record-{record.replace('/', '-')}.tlog-proof")
    path.write_bytes(proof.content())
    signed = proof.checkpoint.checkpoint
    print(f"{path}: line {proof.line_index + 1} of {signed.size} of the journal {plain(signed.origin)}")
    return Status.OK


def check_proof(
    file: Annotated[Path, typer.Argument(help="A file that `pgjit audit prove` wrote.")],
    keys: Annotated[
        list[str],
        typer.Option(
            "--key",
            metavar="KEY",
            help="The public key: `name+id+key`, or a file with that or a PEM; may be repeated.",
        ),
    ],
) -> int:
    """Check the proof of a record, and print the record. Needs the public key and nothing else.

    The exit code is 1 if the proof does not hold; then nothing is printed on the standard output.
    """
    from pgjit.audit.proof.inclusion_file import InclusionFile
    from pgjit.audit.proof.note import NoteRejected

    try:
        proof = InclusionFile.parse(file.read_bytes())
        proof.check(journal_keys(keys, proof.checkpoint.checkpoint.origin))
    except NoteRejected as fault:
        print(f"error: proof `{file}` does not hold: {plain(str(fault))} [proof-refused]", file=sys.stderr)
        return Status.FAILED
    signed = proof.checkpoint.checkpoint
    print(
        f"it holds: line {proof.line_index + 1} of {signed.size} of the journal {plain(signed.origin)}",
        file=sys.stderr,
    )
    print(plain(proof.line.decode("utf-8", "replace")))
    return Status.OK
