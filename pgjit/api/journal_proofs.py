"""Questions about proof, answered by processes of their own, off the event loop: the state of the journals, a
verification of every line, the proof of one record.

Decides how long each may take and how many run at once: one verification on a node, whichever worker began it, and
one other question in a process. What is known of the latest verification is in a file, for all workers and for the
time after a restart. Does not know what is checked: `audit/proof/proof_program.py` does.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import json
import logging
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Final, Protocol

from pgjit.api.audit_child import AnswerUnusable, AuditChild, raise_fault
from pgjit.api.refusals import CallRefused
from pgjit.audit.durable_file import replace_file

__all__ = ["PROOF_COMMAND", "ChildProofs", "JournalProofs"]

_log = logging.getLogger("pgjit.api")
PROOF_COMMAND: Final = (sys.executable, "-m", "pgjit.audit.proof.proof_program")
_SECONDS: Final = 60.0
_WAITING: Final = 4
_VERIFICATION_SECONDS: Final = 6 * 3600.0
_NOTE_SECONDS: Final = 2.0
_STATE: Final = "latest.json"
_LOCK: Final = "lock"
_NONE: Final[dict[str, Any]] = {"state": "none"}

Document = dict[str, Any]


class JournalProofs(Protocol):
    async def journals(self) -> Document:
        """`journals`: the state of each. Raises CallRefused."""

    async def prove(self, record: str, journal: str | None) -> Document:
        """`file`: the proof, as bytes. Raises CallRefused."""

    async def begin(self, by: str) -> Document:
        """Begin a verification; its state. Raises CallRefused while one runs."""

    async def verification(self) -> Document:
        """The state of the latest verification of this node. Raises CallRefused."""

    async def aclose(self) -> None: ...


class ChildProofs:
    """`source`: what `proof_program` needs to find journals and keys; it is looked up for each question.

    `folder`: where the state of the latest verification is kept. It is made with mode 0700.
    """

    def __init__(
        self,
        source: Callable[[], Mapping[str, Any]],
        folder: Path,
        clock: Callable[[], datetime],
        *,
        seconds: float = _SECONDS,
        command: Sequence[str] = PROOF_COMMAND,
    ) -> None:
        self._source = source
        self._folder = folder
        self._clock = clock
        self._seconds = seconds
        self._command = command
        self._place = asyncio.Semaphore(1)
        self._callers = 0
        self._running: asyncio.Task[None] | None = None
        self._latest: Document | None = None  # of this process, while it runs

    async def journals(self) -> Document:
        return await self._ask({"ask": "journals"})

    async def prove(self, record: str, journal: str | None) -> Document:
        return await self._ask({"ask": "prove", "record": record, "journal": journal})

    async def begin(self, by: str) -> Document:
        try:
            lock = await asyncio.to_thread(self._locked)
        except OSError as fault:
            raise _unavailable("verification cannot be begun", f"{self._folder}: {fault.strerror}") from None
        if lock is None:
            raise CallRefused(
                "a verification is running",
                reference="verification-running",
                status=409,
                detail="A node verifies its journals once at a time.",
                hint="Wait for its end: `GET audit/verification` has how far it is.",
            )
        begun = self._clock().isoformat()
        latest: Document = {"state": "running", "begun_at": begun, "by": by, "read": 0, "of": 0}
        try:
            await asyncio.to_thread(self._write, latest)
        except OSError as fault:
            os.close(lock)
            raise _unavailable("verification cannot be begun", f"{self._folder}: {fault.strerror}") from None
        self._latest = latest
        self._running = asyncio.create_task(self._verify(lock, latest))
        await asyncio.sleep(0)  # it has the lock from here on, also if it is cancelled at once
        return dict(latest)

    async def verification(self) -> Document:
        if self._latest is not None:
            return dict(self._latest)
        try:
            return await asyncio.to_thread(self._read)
        except OSError as fault:
            raise _unavailable("verification is not known", f"{self._folder}: {fault.strerror}") from None

    async def aclose(self) -> None:
        """End the verification that this process runs."""
        if self._running is not None:
            self._running.cancel()
            await asyncio.gather(self._running, return_exceptions=True)

    async def ended(self) -> None:
        """Wait until the verification that this process runs is over."""
        if self._running is not None:
            await asyncio.wait([self._running])

    # --- one question ----------------------------------------------------------------------------------

    async def _ask(self, question: Document) -> Document:
        if self._callers > _WAITING:
            raise _unavailable("proof is busy", "Others ask already.", "Call again in a moment.")
        self._callers += 1
        try:
            async with self._place, asyncio.timeout(self._seconds):
                found = await self._answer(AuditChild(self._command), question)
        except TimeoutError:
            raise _unavailable(
                "proof took too long", f"It may take {self._seconds:g} s.", "`pgjit audit prove` has no such limit."
            ) from None
        except AnswerUnusable as fault:
            _log.error("a question about proof failed with %s", fault)
            raise CallRefused(
                "proof could not be made",
                reference="proof-unavailable",
                status=500,
                hint="The log of this proxy has the reason.",
            ) from None
        finally:
            self._callers -= 1
        raise_fault(found)
        return found

    async def _answer(self, child: AuditChild, question: Document) -> Document:
        return await child.run(json.dumps({**self._source(), **question}).encode())

    # --- a verification --------------------------------------------------------------------------------

    async def _verify(self, lock: int, latest: Document) -> None:
        child = AuditChild(self._command)
        running = asyncio.create_task(self._answer(child, {"ask": "verify"}))
        try:
            async with asyncio.timeout(_VERIFICATION_SECONDS):
                while not running.done():
                    await asyncio.wait([running], timeout=_NOTE_SECONDS)
                    latest |= {"read": child.done, "of": child.whole}
                    await self._note(latest)
                found = await running
            fault = found.get("fault")
            if fault is not None:
                latest |= {"state": "failed", "fault": fault["detail"] or fault["message"]}
            else:
                latest |= {"state": "done", "read": child.whole, "journals": found["journals"]}
                latest |= {"notices": found["notices"]}
        except (AnswerUnusable, OSError, TimeoutError) as fault:
            _log.error("a verification of the journal failed with %s", fault or "it took too long")
            latest |= {"state": "failed", "fault": "The log of this proxy has the reason."}
        except asyncio.CancelledError:
            latest |= {"state": "interrupted"}
            raise
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
            latest["ended_at"] = self._clock().isoformat()
            await asyncio.shield(self._note(latest))
            os.close(lock)
            self._latest = None

    async def _note(self, latest: Document) -> None:
        with contextlib.suppress(OSError):  # what this process knows counts while it runs
            await asyncio.to_thread(self._write, dict(latest))

    def _locked(self) -> int | None:
        """A descriptor that holds the lock of this node's verification; None while another has it. Raises OSError."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = os.open(self._folder / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            return None
        except BaseException:
            os.close(lock)
            raise
        return lock

    def _write(self, latest: Document) -> None:
        replace_file(self._folder / _STATE, json.dumps(latest).encode())

    def _read(self) -> Document:
        """The state that another worker kept, or this one before a restart. Raises OSError."""
        try:
            latest = json.loads((self._folder / _STATE).read_bytes())
        except (FileNotFoundError, ValueError):
            return dict(_NONE)
        if not isinstance(latest, dict):
            return dict(_NONE)
        if latest.get("state") == "running" and (lock := self._locked()) is not None:
            os.close(lock)
            latest["state"] = "interrupted"  # whoever ran it is gone
        return latest


def _unavailable(message: str, detail: str, hint: str | None = None) -> CallRefused:
    return CallRefused(message, reference="proof-unavailable", status=503, detail=detail, hint=hint)
