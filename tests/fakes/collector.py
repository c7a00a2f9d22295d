"""An OTLP collector inside the test: it keeps what it receives, and can be away, refuse, hang and come back."""

from __future__ import annotations

import gzip
import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord
from opentelemetry.proto.metrics.v1.metrics_pb2 import Metric
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import Span

__all__ = ["Collector", "attributes_of"]


class Collector:
    """`with Collector() as collector:` listens until the block is left, at the same port after `stop` and `start`."""

    def __init__(self) -> None:
        self.logs: list[LogRecord] = []
        self.spans: list[Span] = []
        self.metrics: list[Metric] = []
        self.resources: list[Resource] = []
        self.requests: list[tuple[str, dict[str, str]]] = []
        self.answer: Callable[[str, bytes], tuple[int, bytes]] = lambda _path, _body: (200, b"")
        self.hanging = threading.Event()  # set: requests wait for `released`
        self.released = threading.Event()
        self._port = 0
        self._server: ThreadingHTTPServer | None = None
        self._thread: threading.Thread | None = None

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def start(self) -> None:
        self._server = ThreadingHTTPServer(("127.0.0.1", self._port), _handler(self))
        self._server.daemon_threads = True
        self._port = self._server.server_port
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()

    def stop(self) -> None:
        server, self._server = self._server, None
        if server is not None and self._thread is not None:
            server.shutdown()
            self._thread.join()
            server.server_close()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.released.set()
        self.stop()

    def receive(self, path: str, headers: dict[str, str], body: bytes) -> tuple[int, bytes]:
        if self.hanging.is_set():
            self.released.wait(60)
            return 503, b""
        status, content = self.answer(path, body)
        self.requests.append((path, headers))
        if status == 200:
            self._keep(path, body)
        return status, content

    def _keep(self, path: str, body: bytes) -> None:
        match path:
            case "/v1/logs":
                for of_resource in ExportLogsServiceRequest.FromString(body).resource_logs:
                    self.resources.append(of_resource.resource)
                    self.logs += [each for scope in of_resource.scope_logs for each in scope.log_records]
            case "/v1/traces":
                for traces in ExportTraceServiceRequest.FromString(body).resource_spans:
                    self.spans += [each for scope in traces.scope_spans for each in scope.spans]
            case "/v1/metrics":
                for metrics in ExportMetricsServiceRequest.FromString(body).resource_metrics:
                    self.metrics += [each for scope in metrics.scope_metrics for each in scope.metrics]


def _handler(collector: Collector) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            status, content = collector.receive(self.path, dict(self.headers), body)
            with suppress(OSError):  # the exporter did not wait for it
                self.send_response(status)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

        def log_message(self, *_: object) -> None: ...

    return Handler


def attributes_of(attributes: Iterable[KeyValue]) -> dict[str, str | int]:
    """The attributes of a log record, a span or a resource."""
    return {
        each.key: each.value.int_value if each.value.HasField("int_value") else each.value.string_value
        for each in attributes
    }
