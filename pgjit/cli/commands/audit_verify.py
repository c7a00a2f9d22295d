"""`pgjit audit verify`: checks that no line of the journal was changed, and names the first that was."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pgjit.audit.plain_text import plain
from pgjit.cli.audit_journals import KeyOption, proved_journals
from pgjit.cli.audit_settings import AsJson, ConfigPath
from pgjit.cli.status import Status
from pgjit.cli.wrong_usage import WrongUsage

if TYPE_CHECKING:
    from pgjit.audit.proof.checkpoint import SignedCheckpoint
    from pgjit.audit.proof.finding import ProofFinding
    from pgjit.audit.proof.note import NoteRejected, VerifierKey
    from pgjit.audit.proof.verification import JournalVerification

__all__ = ["verify"]

_BAR = 24
_MOST_SHOWN = 20


def verify(
    folders: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[PLACE]...",
            help="The journal's folder, and folders or URLs (`s3://...`) of its archived segments. By default the "
            "configuration's.",
        ),
    ] = None,
    keys: KeyOption = None,
    checkpoints: Annotated[
        list[Path] | None,
        typer.Option(
            "--checkpoint",
            metavar="PATH",
            help="A checkpoint that was kept elsewhere, or a folder of such; may be repeated. The newest shows a cut "
            "end, which the journal's own folder cannot.",
        ),
    ] = None,
    witnesses: Annotated[
        list[str] | None,
        typer.Option(
            "--witness",
            metavar="KEY",
            help="The public key of a witness, which has to have signed a checkpoint; may be repeated.",
        ),
    ] = None,
    as_json: AsJson = False,
    config: ConfigPath = Path("pgjit.yaml"),
) -> int:
    """Check that no line of the journal was changed, removed, added or moved.

    Every line is read and hashed, and compared with the signed checkpoints. That needs no server, and no network but
    for an object store; it may be done while pgjit writes. The exit code is 1 if anything differs; the first line
    that does is named.
    """
    from pgjit.audit.proof.proof_program import verification_document
    from pgjit.audit.proof.verification import verify as verify_journal

    journals = proved_journals(folders, keys, config)
    if not keys:
        print("the keys are those of the configuration; give --key with one that was kept elsewhere", file=sys.stderr)
    given, elsewhere = _given(checkpoints or [], {journal.origin for journal in journals})
    for origin in elsewhere:
        print(
            f"not verified: a checkpoint that was given is of `{plain(origin)}`, which is not here", file=sys.stderr
        )
    cosigners = _witness_keys(witnesses or [])
    results = []
    for journal in journals:
        progress = _Progress()
        own = [each for each in given if len(journals) == 1 or _origin(each[1]) in (None, journal.origin)]
        results.append(
            verify_journal(journal.files, journal.origin, journal.keys, own, witnesses=cosigners, progress=progress)
        )
        progress.end()
    if as_json:
        print(json.dumps([verification_document(result) for result in results], indent=2))
    else:
        for result in results:
            print("\n".join(map(plain, _lines(result))))
    return Status.OK if all(result.intact for result in results) else Status.FAILED


def _witness_keys(texts: Sequence[str]) -> list[VerifierKey]:
    from pgjit.audit.proof.note import COSIGNATURE, NoteRejected, VerifierKey

    try:
        keys = list(map(VerifierKey.parse, texts))
    except NoteRejected as fault:
        raise WrongUsage(str(fault)) from None
    for key in keys:
        if key.kind != COSIGNATURE:
            raise WrongUsage(f"`{key.text}` is not the key of a witness")
    return keys


def _given(
    paths: Sequence[Path], origins: set[str]
) -> tuple[list[tuple[str, SignedCheckpoint | NoteRejected]], list[str]]:
    """The checkpoints, and the journals that some in a folder are of besides `origins`.

    A folder may have checkpoints of other journals too; a file that was named may not.
    """
    from pgjit.audit.proof.checkpoint_log import read_checkpoints

    given: list[tuple[str, SignedCheckpoint | NoteRejected]] = []
    elsewhere: set[str] = set()
    for path in paths:
        if not path.is_dir():
            given += read_checkpoints(path)
            continue
        files = sorted(each for each in path.iterdir() if each.is_file() and "checkpoint" in each.name)
        if not files:
            raise WrongUsage(f"`{path}` has no file with checkpoints")
        for each in (found for file in files for found in read_checkpoints(file)):
            if (origin := _origin(each[1])) is None or origin in origins:
                given.append(each)
            else:
                elsewhere.add(origin)
    return given, sorted(elsewhere)


def _origin(signed: SignedCheckpoint | NoteRejected) -> str | None:
    return None if isinstance(signed, ValueError) else signed.checkpoint.origin


def _lines(result: JournalVerification) -> Iterator[str]:
    yield f"journal {result.origin}: {'intact' if result.intact else 'NOT INTACT'}"
    yield f"  {result.lines:,} lines in {result.segments:,} segments, {result.checkpoints:,} checkpoints hold"
    if result.removed:
        yield f"  {result.removed:,} older lines are no longer kept; the signed tree contains their hashes"
    if result.signed:
        yield f"  signed up to line {result.signed:,}"
    for witness in result.witnessed:
        yield f"  witness {witness.name} signed {witness.size:,} lines at {witness.at:%Y-%m-%d %H:%M:%S} UTC"
    if result.intact and (behind := result.lines + result.removed - result.signed):
        yield f"  {behind:,} lines after the newest checkpoint are not signed yet"
    for finding in result.findings[:_MOST_SHOWN]:
        yield f"  {_where(finding)}{finding.kind}: {finding.message}"
    if (more := len(result.findings) - _MOST_SHOWN) > 0:
        yield f"  and {more} more"


def _where(finding: ProofFinding) -> str:
    record = "" if finding.seq is None else f" (record {finding.seq})"
    return f"{finding.place}{record}: " if finding.place else ""


class _Progress:
    """A bar on the standard error, if that is a terminal. Called after each segment."""

    def __init__(self) -> None:
        self._shown = sys.stderr.isatty()

    def __call__(self, done: int, whole: int) -> None:
        if self._shown:
            part = done / max(whole, 1)
            bar = "#" * round(_BAR * part)
            text = f"[{bar:.<{_BAR}}] {part:.0%} of {whole / 1e6:,.0f} MB"
            print(f"\r\x1b[K{text}", end="", file=sys.stderr, flush=True)

    def end(self) -> None:
        if self._shown:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)
