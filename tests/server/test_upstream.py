"""One address: the credential, the retry with a new one, and cancel requests to the same server."""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path

import pytest

from pgjit.server.credential import CredentialUnavailable
from pgjit.server.login_error import LoginFailed
from pgjit.server.target import SslMode
from pgjit.server.upstream import Upstream, cancel_running, connect_upstream
from tests.fakes.certificate_authority import Authority
from tests.fakes.scripted_server import (
    ScriptedServer,
    Step,
    authentication,
    cancel_request,
    close,
    expect,
    fatal,
    send,
    startup,
    tls,
    until_left,
)
from tests.fakes.targets import WELCOME, address_of, logged_in, target_at

REFUSED = [startup(), send(authentication(5, b"salt")), expect("p"), send(fatal("28P01", "no")), close()]
TAKEN = [startup(), send(authentication(5, b"salt")), expect("p"), send(WELCOME), until_left()]


class _Secrets:
    """Gives one after the other; the next one only after a refusal."""

    def __init__(self, *secrets: str) -> None:
        self._secrets = list(secrets)
        self.refusals = 0

    async def secret(self) -> str:
        if not self._secrets:
            raise CredentialUnavailable("vault is closed")
        return self._secrets[0]

    def refused(self) -> None:
        self.refusals += 1
        if len(self._secrets) > 1 or self.refusals > 1:
            self._secrets.pop(0)


async def test_a_refused_secret_is_replaced_once() -> None:
    async with ScriptedServer(REFUSED, TAKEN) as server:
        target = target_at(server, credential=_Secrets("old", "new"))
        upstream = await connect_upstream(target, address_of(server), {})
        upstream.link.abort()
        answers = [peer.frames[0].body for peer in server.peers]
    assert len(answers) == len(set(answers)) == 2


@pytest.mark.parametrize("secrets", [("same",), ("same", "same")])
async def test_the_same_secret_is_not_tried_twice(secrets: tuple[str, ...]) -> None:
    async with ScriptedServer(REFUSED) as server:
        with pytest.raises(LoginFailed, match="28P01"):
            await connect_upstream(target_at(server, credential=_Secrets(*secrets)), address_of(server), {})
        assert len(server.peers) == 1


async def test_a_new_secret_that_is_refused_too_is_the_end() -> None:
    async with ScriptedServer(REFUSED) as server:
        with pytest.raises(LoginFailed, match="28P01"):
            await connect_upstream(target_at(server, credential=_Secrets("a", "b", "c")), address_of(server), {})
        assert len(server.peers) == 2


async def test_other_refusals_do_not_ask_for_another_secret() -> None:
    secrets = _Secrets("a", "b")
    async with ScriptedServer([startup(), send(fatal("53300", "full")), close()]) as server:
        with pytest.raises(LoginFailed, match="53300"):
            await connect_upstream(target_at(server, credential=secrets), address_of(server), {})
    assert secrets.refusals == 0


async def test_a_source_without_a_secret_is_a_failed_step_and_nothing_is_dialled() -> None:
    async with ScriptedServer(TAKEN) as server:
        with pytest.raises(LoginFailed) as failed:
            await connect_upstream(target_at(server, credential=_Secrets()), address_of(server), {})
        assert (failed.value.step, failed.value.reason) == ("getting the password", "vault is closed")
        assert server.peers == []


async def test_a_source_that_hangs_is_given_up_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pgjit.server.upstream.SECRET_SECONDS", 0.05)

    class Stuck(_Secrets):
        async def secret(self) -> str:
            await asyncio.Event().wait()
            return "never"

    async with ScriptedServer(TAKEN) as server:
        with pytest.raises(LoginFailed, match="getting the password: its source gave none within"):
            await connect_upstream(target_at(server, credential=Stuck()), address_of(server), {})


# --- cancel ----------------------------------------------------------------------------------------------


async def _logged_in(server: ScriptedServer, name: str = "127.0.0.1") -> Upstream:
    upstream = await connect_upstream(target_at(server), address_of(server, name), {})
    upstream.link.abort()
    return upstream


async def test_a_cancel_request_goes_to_the_address_that_was_connected() -> None:
    """Not to what the name means by then: this one has no address at all."""
    async with ScriptedServer(logged_in(), [cancel_request(), close()]) as server:
        upstream = await _logged_in(server, "no-such-name.invalid")
        assert await cancel_running(upstream, 5)
        cancel = server.peers[1].cancel
    assert cancel is not None
    assert (cancel.pid, cancel.secret) == (upstream.backend_pid, upstream.secret)


async def test_a_cancel_request_is_done_when_the_server_has_closed() -> None:
    taken = asyncio.Event()

    async def wait(_: object) -> None:
        await taken.wait()

    async with ScriptedServer(logged_in(), [cancel_request(), wait, close()]) as server:
        cancelling = asyncio.create_task(cancel_running(await _logged_in(server), 5))
        while len(server.peers) < 2 or server.peers[1].cancel is None:
            await asyncio.sleep(0)
        assert not cancelling.done()
        taken.set()
        assert await cancelling


async def test_a_cancel_request_goes_through_tls_where_the_session_did(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    pair = authority.server("127.0.0.1")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pair.certificate, pair.key)
    scripts = [tls(context), *logged_in()], [tls(context), cancel_request(), close()]
    async with ScriptedServer(*scripts) as server:
        target = target_at(server, sslmode=SslMode.VERIFY_FULL, sslrootcert=str(authority.root))
        upstream = await connect_upstream(target, address_of(server), {})
        upstream.link.abort()
        assert await cancel_running(upstream, 5)


@pytest.mark.parametrize("script", [[cancel_request(), until_left()], [close(reset=True)]])
async def test_a_cancel_request_that_cannot_be_sent_is_not_waited_for(script: list[Step]) -> None:
    async with ScriptedServer(logged_in(), script) as server:
        processed = await cancel_running(await _logged_in(server), 0.1)
        assert processed is (script[0].__qualname__ == close().__qualname__)


async def test_a_cancel_request_to_a_server_that_is_gone_fails() -> None:
    async with ScriptedServer(logged_in()) as server:
        upstream = await _logged_in(server)
    assert not await cancel_running(upstream, 5)
