"""`pgjit notify test`: a message arrives, or what the receiver answered is shown."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from pgjit.cli.run import run
from pgjit.cli.status import Status
from pgjit.demo.certificates import make_certificates

pytestmark = pytest.mark.live

TEXT = """
tls: {{certificate: server.crt, key: server.key}}
identity: {{tenant: 7c9e6679-7425-40de-944b-e07fc1f90ae7, audience: 3f2504e0-4f89-41d3-9a0c-0305e82c3301}}
connections:
  prod-replica: {{host: db.internal, database: shop, user: pgjit_agent}}
  prod-primary: {{host: db-1.internal, database: shop, user: pgjit_writer}}
policies: {policies}
notify: {{channels: {{ops: {{webhook: {{url: "http://127.0.0.1:{port}/", secret: {{file: key}}}}}}}}}}
"""


class _Hook(BaseHTTPRequestHandler):
    status = 204
    bodies: list[bytes]

    def do_POST(self) -> None:
        self.bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
        self.send_response(self.status)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Nothing is printed."""


@pytest.fixture
def hook() -> Iterator[tuple[type[_Hook], int]]:
    kept = type("Kept", (_Hook,), {"bodies": []})
    with HTTPServer(("127.0.0.1", 0), kept) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield kept, server.server_port
        server.shutdown()
        thread.join()


def test_a_test_message_is_sent_or_its_failure_is_shown(
    hook: tuple[type[_Hook], int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kept, port = hook
    make_certificates(tmp_path)
    (tmp_path / "key").write_text("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    path = tmp_path / "pgjit.yaml"
    path.write_text(TEXT.format(policies=Path(__file__).parents[2] / "policies", port=port))
    assert run(["notify", "test", "ops", f"--config={path}"]) == Status.OK
    assert "channel ops has sent a test message" in capsys.readouterr().out
    assert json.loads(kept.bodies[0])["type"] == "test"
    kept.status = 404
    assert run(["notify", "test", "ops", f"--config={path}"]) == Status.UNAVAILABLE
    assert "detail: answered 404" in capsys.readouterr().err
    assert run(["notify", "test", "chat", f"--config={path}"]) == Status.USAGE
    assert "known: ops" in capsys.readouterr().err
    assert len(kept.bodies) == 2
