"""The process that answers one question about the journal: `python -m pgjit.audit.reading.answering`.

Decides how much it may print, and knows how far it is in reading closed segments for the first time. Its owner
decides how long it may run.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Mapping, Sequence
from typing import Any, Final

import orjson

from pgjit.api.refusals import CallRefused

__all__ = ["COMMAND", "AnswerUnusable", "AuditChild", "raise_fault"]

COMMAND: Final = (sys.executable, "-m", "pgjit.audit.reading.answering")
_LARGEST: Final = 32 << 20
_BLOCK: Final = 1 << 16


class AnswerUnusable(Exception):
    """The process failed, or printed too much; the text says which, for the log."""


class AuditChild:
    """`done` and `whole`: bytes of closed segments that are read, and that are to be read; both 0 if nothing is."""

    def __init__(self, command: Sequence[str] = COMMAND) -> None:
        self._command = command
        self.done = self.whole = 0
        self._began = asyncio.get_running_loop().time()
        self._last_line = ""

    @property
    def preparing(self) -> bool:
        return self.done < self.whole

    @property
    def seconds_left(self) -> int:
        """How long it will read on, by its speed until now; a minute where that is not known."""
        if not self.done:
            return 60
        spent = asyncio.get_running_loop().time() - self._began
        return max(1, round(spent * (self.whole - self.done) / self.done))

    async def run(self, question: bytes) -> dict[str, Any]:
        """The answer; `file` is what came after its first line, which nothing here reads.

        Raises AnswerUnusable and OSError. The process and its temporary files, in which there are statements, are
        gone when it returns, also when it is cancelled.
        """
        folder = tempfile.mkdtemp(prefix="pgjit-audit-")
        try:
            return await self._run(question, {**os.environ, "TMPDIR": folder})
        finally:
            await asyncio.shield(asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True))

    async def _run(self, question: bytes, environment: dict[str, str]) -> dict[str, Any]:
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(
            *self._command, stdin=pipe, stdout=pipe, stderr=pipe, env=environment
        )
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._ask(process, question))
                group.create_task(self._follow(process))
                printed = group.create_task(self._printed(process))
            status = await process.wait()
        finally:
            if process.returncode is None:
                process.kill()
                await asyncio.shield(process.wait())
        output = printed.result()
        if status != 0 or output is None:
            raise AnswerUnusable(f"{status}: {self._last_line if output is not None else 'it printed too much'}")
        return _answer(output)

    async def _ask(self, process: asyncio.subprocess.Process, question: bytes) -> None:
        assert process.stdin is not None
        try:
            process.stdin.write(question)
            await process.stdin.drain()
        except (BrokenPipeError, ConnectionResetError):
            pass  # it failed at its start: its status says so
        process.stdin.close()

    async def _printed(self, process: asyncio.subprocess.Process) -> bytes | None:
        """What it printed; None, and the process is killed, if that is too much."""
        assert process.stdout is not None
        printed = bytearray()
        while block := await process.stdout.read(_BLOCK):
            printed += block
            if len(printed) > _LARGEST:
                process.kill()
                return None
        return bytes(printed)

    async def _follow(self, process: asyncio.subprocess.Process) -> None:
        """Read its reports of progress, and keep the last line of what else it prints."""
        assert process.stderr is not None
        rest = b""
        while block := await process.stderr.read(_BLOCK):
            *lines, rest = (rest + block)[-_BLOCK:].split(b"\n")
            for line in lines:
                self._take(line)

    def _take(self, line: bytes) -> None:
        try:
            report = json.loads(line)
            self.done, self.whole = int(report["read"]), int(report["of"])
        except (ValueError, KeyError, TypeError):
            if text := line.decode("utf-8", "replace").strip():
                self._last_line = text


def raise_fault(answer: Mapping[str, Any]) -> None:
    """Raises CallRefused if `answer` is the `fault` that the process found in the question, or in the journal."""
    if (fault := answer.get("fault")) is not None:
        raise CallRefused(
            fault["message"],
            reference=fault["reference"],
            status=fault["status"],
            detail=fault["detail"],
            hint=fault["hint"],
            position=fault.get("position"),
        )


def _answer(output: bytes) -> dict[str, Any]:
    """Raises ValueError. This is the event loop's time: orjson takes a third of what `json` takes."""
    head, _, file = output.partition(b"\n")
    try:
        found: dict[str, Any] = orjson.loads(head)
    except ValueError:
        found = json.loads(head)  # half a surrogate pair, of a text that is no Unicode
    return {**found, "file": file} if file else found
