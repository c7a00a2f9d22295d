"""Log records as protobuf reads them."""

from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord, SeverityNumber

from pgjit.telemetry.otlp_logs import attribute, log_message, logs_request, rejected_log_records, repeated_attribute

WARN = SeverityNumber.SEVERITY_NUMBER_WARN
_TEXTS = st.text(max_size=200) | st.integers(100, 20_000).map(lambda size: "é" * size)
_NANOSECONDS = st.integers(0, (1 << 64) - 1)
_NUMBERS = st.integers(-(1 << 63), (1 << 63) - 1)


@given(
    body=_TEXTS,
    attributes=st.dictionaries(st.text(min_size=1, max_size=200), _TEXTS | _NUMBERS, max_size=5),
    time=_NANOSECONDS,
    observed=_NANOSECONDS,
    span=st.none() | st.tuples(st.binary(min_size=16, max_size=16), st.binary(min_size=8, max_size=8), st.just(1)),
)
@example(body="\ud800", attributes={"a" * 126: "b", "n": -1}, time=0, observed=0, span=None)
def test_protobuf_reads_what_was_written(
    body: str,
    attributes: dict[str, str | int],
    time: int,
    observed: int,
    span: tuple[bytes, bytes, int] | None,
) -> None:
    written = log_message(
        body, [attribute(*each) for each in attributes.items()],
        time=time, observed=observed, severity=(13, "WARN"), event="pgjit.outcome", span=span,
    )  # fmt: skip
    read = LogRecord.FromString(written)
    expected = LogRecord(
        time_unix_nano=time, observed_time_unix_nano=observed, severity_number=WARN, severity_text="WARN",
        event_name="pgjit.outcome",
    )  # fmt: skip
    expected.body.string_value = body.encode(errors="replace").decode()
    for name, value in attributes.items():
        added = expected.attributes.add(key=name)
        if isinstance(value, int):
            added.value.int_value = value
        else:
            added.value.string_value = value
    if span is not None:
        expected.trace_id, expected.span_id, expected.flags = span
    assert read == expected
    assert repeated_attribute("a", "b") == attribute("a", "b")


def test_a_number_beyond_64_bits_is_a_text() -> None:
    read = LogRecord.FromString(
        log_message("", [attribute("n", 1 << 64)], time=1, observed=1, severity=(9, "INFO"), event="e")
    )
    assert read.attributes[0].value.string_value == str(1 << 64)


def test_a_request_has_the_resource_and_its_records_in_order() -> None:
    records = [
        log_message(str(number) * 200, [], time=number, observed=1, severity=(9, "INFO"), event="e")
        for number in range(3)
    ]
    body = logs_request({"service.name": "pgjit", "service.version": "1.2"}, records)
    (of_resource,) = ExportLogsServiceRequest.FromString(body).resource_logs
    (of_scope,) = of_resource.scope_logs
    assert {each.key: each.value.string_value for each in of_resource.resource.attributes} == {
        "service.name": "pgjit",
        "service.version": "1.2",
    }
    assert (of_scope.scope.name, of_scope.scope.version) == ("pgjit", "1.2")
    assert [each.time_unix_nano for each in of_scope.log_records] == [0, 1, 2]


def test_an_answer_that_cannot_be_read_refuses_nothing() -> None:
    assert rejected_log_records(b"\xff\xff") == rejected_log_records(b"") == 0
