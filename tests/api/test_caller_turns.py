"""Answers that take a while: a caller has one place in the queue that all share."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from pgjit.api.refusals import CallRefused
from tests.api.people import People
from tests.fakes.audit_answers import KeptQuestions


class Waiting(KeptQuestions):
    """Every answer waits until the test lets it go."""

    def __init__(self) -> None:
        super().__init__()
        self.go = asyncio.Event()
        self.asked = asyncio.Semaphore(0)

    async def answer(self, question: Mapping[str, Any]) -> dict[str, Any]:
        self.questions.append(question)
        self.asked.release()
        await self.go.wait()
        return await super().answer(question)


async def test_who_asks_much_takes_one_place_of_the_queue(tmp_path: Path) -> None:
    async with People(tmp_path) as api:
        answers = Waiting()
        api.use(audit=answers)
        body = {"query": "SELECT 1", "limit": 7}
        many = [asyncio.create_task(api.post("audit/sql", "auditor", body)) for _ in range(8)]
        async with asyncio.timeout(30):
            done, _ = await asyncio.wait(many, return_when=asyncio.FIRST_COMPLETED)
            while len(done) < 3:
                done, _ = await asyncio.wait(many, timeout=0.01)
            assert [each.result().status_code for each in done] == [429] * 3, "five may wait"
            assert done.pop().result().headers["retry-after"] == "5"
            await answers.asked.acquire()
            assert len(answers.questions) == 1
            other = asyncio.create_task(api.post("audit/sql", "admin", body))
            await answers.asked.acquire()
            assert len(answers.questions) == 2, "the admin's is the next in the queue"
            answers.go.set()
            assert (await other).status_code == 200
            assert sorted(each.status_code for each in await asyncio.gather(*many)) == [200] * 5 + [429] * 3
        assert (await api.post("audit/sql", "auditor", body)).status_code == 200


@pytest.mark.parametrize("path", ["audit/executions", "audit/report", "audit/windows/w_1", "audit/sessions/s_1"])
async def test_a_question_that_fails_leaves_its_place(path: str, tmp_path: Path) -> None:
    async with People(tmp_path) as api:
        api.audit.fault = CallRefused("audit took too long", reference="audit-slow", status=503)
        for _ in range(7):
            assert (await api.get(path, "auditor")).status_code == 503
        api.audit.fault = None
        assert (await api.get(path, "auditor")).status_code == 200
