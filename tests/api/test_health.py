"""The admin port's answers: for a probe, for a person, for a program."""

from __future__ import annotations

import httpx

from pgjit.api.health import admin_api
from pgjit.api.readiness import CheckResult, ReadinessBoard, ReadinessCheck
from pgjit.clock import Clock


async def answered(path: str, accept: str = "*/*", *, failed: bool = False) -> httpx.Response:
    checks = [
        ReadinessCheck("journal", lambda: CheckResult.of(known="7 bytes")),
        ReadinessCheck("store", lambda: CheckResult.of(failed=failed, known="its last use failed")),
    ]
    application = admin_api(ReadinessBoard(lambda: checks, Clock()), lambda: b"pgjit_ready 1\n")
    transport = httpx.ASGITransport(application)
    async with httpx.AsyncClient(transport=transport, base_url="http://admin") as client:
        return await client.get(path, headers={"accept": accept})


async def test_a_probe_reads_the_status() -> None:
    for failed, status in ((False, 200), (True, 503)):
        for path in ("/readyz", "/readyz?verbose", "/readyz?verbose&format=json", "/readyz?verbose=false"):
            assert (await answered(path, failed=failed)).status_code == status
    assert (await answered("/readyz?exclude=store", failed=True)).status_code == 200
    assert (await answered("/readyz?exclude=store&exclude=journal", failed=True)).json()["checks"] == {}
    assert (await answered("/healthz", failed=True)).json() == {"status": "alive"}


async def test_verbose_is_text_unless_json_is_asked_for() -> None:
    text = await answered("/readyz?verbose", failed=True)
    assert text.headers["content-type"].startswith("text/plain")
    assert text.text.startswith("[+]journal ok: 7 bytes\n[-]store failed: its last use failed\n   since ")
    for path, accept in (
        ("/readyz?verbose", "application/json"),
        ("/readyz?verbose=true&format=json", "*/*"),
        ("/readyz?verbose=1", "text/html, application/json;q=0.9"),
    ):
        answer = await answered(path, accept)
        assert answer.json()["checks"]["store"]["known"] == "its last use failed"
    both = await answered("/readyz?verbose&format=text", "application/json")
    assert both.text.endswith("readyz check passed\n")


async def test_without_verbose_the_answer_is_short() -> None:
    answer = await answered("/readyz", "text/plain", failed=True)
    assert answer.json() == {"status": "not ready", "checks": {"journal": True, "store": False}, "warnings": []}
