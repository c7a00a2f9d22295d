from __future__ import annotations

from collections.abc import Callable

import httpx
import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import (
    ExportLogsPartialSuccess,
    ExportLogsServiceRequest,
    ExportLogsServiceResponse,
)

from pgjit.audit.proof.checkpoint import SignedCheckpoint
from pgjit.audit.proof.otlp_sender import OtlpSender
from pgjit.telemetry.otlp import OtlpTarget, service_attributes
from tests.audit.proof.journals import AT, KEY, ORIGIN, record, sign
from tests.fakes.collector import attributes_of

SIGNED = sign(list(map(record, range(1, 8))))
TARGET = OtlpTarget(endpoint="https://collector.internal:4318", headers={"x-key": "secret"})


def sender(answer: Callable[[httpx.Request], httpx.Response]) -> OtlpSender:
    client = httpx.AsyncClient(transport=httpx.MockTransport(answer))
    return OtlpSender(TARGET, service_attributes("1.2", "node-1"), client, lambda: AT)


async def test_a_collector_gets_the_signed_note_as_a_log_record() -> None:
    requests: list[httpx.Request] = []

    def accept(request: httpx.Request) -> httpx.Response:
        requests.append(request)
        return httpx.Response(200)

    sending = sender(accept)
    await sending.send(SIGNED)
    (request,) = requests
    assert (str(request.url), request.headers["x-key"]) == ("https://collector.internal:4318/v1/logs", "secret")
    (of_resource,) = ExportLogsServiceRequest.FromString(request.content).resource_logs
    assert attributes_of(of_resource.resource.attributes)["service.instance.id"] == "node-1"
    (log,) = of_resource.scope_logs[0].log_records
    assert (log.event_name, log.time_unix_nano) == ("pgjit.checkpoint", int(AT.timestamp()) * 10**9)
    assert attributes_of(log.attributes) == {
        "log.record.uid": f"{ORIGIN}/checkpoint/7",
        "pgjit.journal.origin": ORIGIN,
        "pgjit.journal.size": 7,
    }
    kept = SignedCheckpoint.parse(log.body.string_value.encode())  # what the collector keeps is a proof
    kept.check_signed([KEY])
    assert kept == SIGNED
    assert sending.name == "collector collector.internal"


async def test_a_record_that_the_collector_does_not_take_is_a_failure() -> None:
    refused = ExportLogsServiceResponse(partial_success=ExportLogsPartialSuccess(rejected_log_records=1))
    rows = [
        (httpx.Response(503), "it answered 503"),
        (httpx.Response(200, content=refused.SerializeToString()), "it refused the record"),
        (httpx.Response(200, content=b"x" * 70_000), "its answer is too long"),
    ]
    for answer, fault in rows:
        with pytest.raises(OSError, match=fault):
            await sender(lambda _, answer=answer: answer).send(SIGNED)  # type: ignore[misc]
