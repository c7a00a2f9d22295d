"""A program that answers one question about the journal: its limits, its answer, and how far it is."""

from __future__ import annotations

import asyncio
import os
import sys

import pytest

from pgjit.api.audit_child import AnswerUnusable, AuditChild

PROGRAM = """
import os, resource
from pgjit.audit.question_program import answer_question

def answer(question, progress):
    progress(3, 4)
    if question.get("fails"):
        raise OSError("the disk is gone")
    memory = resource.getrlimit(resource.RLIMIT_DATA)
    return {"nice": os.nice(0), "memory": memory, "asked": question, "file": "a\\nb \\ud800"}

answer_question(answer)
"""


@pytest.mark.live
async def test_it_gives_way_and_its_memory_is_bounded() -> None:
    child = AuditChild((sys.executable, "-c", PROGRAM))
    found = await asyncio.wait_for(child.run(b'{"ask": "x"}'), 30)
    assert found == {
        "nice": min(os.nice(0) + 10, 19), "memory": [3 << 30, 3 << 30], "asked": {"ask": "x"}, "file": b"a\nb ?",
    }  # fmt: skip
    assert (child.done, child.whole) == (3, 4)


@pytest.mark.live
async def test_what_fails_is_no_answer() -> None:
    child = AuditChild((sys.executable, "-c", PROGRAM))
    with pytest.raises(AnswerUnusable, match="the disk is gone"):
        await asyncio.wait_for(child.run(b'{"fails": true}'), 30)
