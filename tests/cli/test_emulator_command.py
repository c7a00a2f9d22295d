"""`pgjit emulator` as a program: where it says it is, what it warns of, and that it leaves nothing behind."""

from __future__ import annotations

import json
import signal
import ssl
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from pgjit.cli.run import run
from pgjit.cli.status import Status
from pgjit.demo.certificates import make_certificates
from tests.run.processes import own


@contextmanager
def running(*arguments: str) -> Iterator[dict[str, str]]:
    command = [sys.executable, "-m", "pgjit", "emulator", "--port", "0", *arguments]
    with own(*command) as process:
        assert process.stdout is not None
        try:
            yield json.loads(process.stdout.readline())
        finally:
            process.send_signal(signal.SIGTERM)
            _, err = process.communicate(timeout=30)
        assert process.returncode == Status.OK
        assert "FOR TESTS ONLY" in err


def keys_at(place: str, tenant: str, ca: str | None = None) -> int:
    verify = ssl.create_default_context(cafile=ca) if ca else True
    with httpx.Client(trust_env=False, verify=verify) as client:
        return len(client.get(f"{place}/{tenant}/discovery/v2.0/keys").json()["keys"])


def test_it_says_where_it_is_and_listens_on_this_machine_only() -> None:
    with running() as places:
        assert places.keys() == {
            "authority", "tenant", "audience", "managed_identity", "identity_endpoint", "identity_header", "admin",
        }  # fmt: skip
        assert places["authority"].startswith("http://127.0.0.1:")
        assert keys_at(places["authority"], places["tenant"]) == 1
        with httpx.Client(trust_env=False) as client:
            assert client.get(f"{places['admin']}/state").status_code == 200
            identity = client.get(f"{places['managed_identity']}/metadata/identity/oauth2/token")
            assert identity.json()["error"] == "invalid_request"


def test_over_tls_it_makes_a_certificate_and_takes_it_away_again() -> None:
    with running("--tls-port", "0") as places:
        assert keys_at(places["tls_authority"], places["tenant"], places["ca"]) == 1
    assert not Path(places["ca"]).parent.exists()


def test_over_tls_it_shows_the_certificate_that_it_was_given(tmp_path: Path) -> None:
    made = make_certificates(tmp_path)
    options = ("--tls-port", "0", "--tls-certificate", str(made.certificate), "--tls-key", str(made.key))
    with running(*options) as places:
        assert keys_at(places["tls_authority"], places["tenant"], str(made.authority)) == 1
        assert "ca" not in places


@pytest.mark.parametrize(
    "options",
    [
        ["--tls-port", "0", "--tls-certificate", "x"],
        ["--tls-port", "0", "--tls-key", "x"],
        ["--tls-certificate", "x", "--tls-key", "x"],
        ["--port", "70000"],
    ],
)
def test_options_that_do_not_go_together_are_wrong_usage(
    options: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["emulator", *options]) == Status.USAGE
    assert capsys.readouterr().out == ""
