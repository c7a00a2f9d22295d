"""A mail server of the test's own, with STARTTLS; it keeps the letters, and answers as the test sets it."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword

from tests.fakes.certificate_authority import Pair

__all__ = ["MailServer", "mail_server"]


class MailServer:
    def __init__(self) -> None:
        self.port = 0
        self.letters: list[EmailMessage] = []
        self.recipients: list[list[str]] = []
        self.tls: list[bool] = []
        self.refused: dict[str, str] = {}  # the answer to a recipient
        self.answer = "250 OK"

    async def handle_RCPT(self, _server: SMTP, _session: object, envelope: Envelope, address: str, _o: object) -> str:  # noqa: N802
        if address in self.refused:
            return self.refused[address]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, _server: SMTP, session: Any, envelope: Envelope) -> str:  # noqa: N802
        if self.answer.startswith("250"):
            assert isinstance(envelope.content, bytes)
            self.letters.append(message_from_bytes(envelope.content, policy=policy.default))
            self.recipients.append(list(envelope.rcpt_tos))
            self.tls.append(session.ssl is not None)
        return self.answer


@asynccontextmanager
async def mail_server(pair: Pair | None, *, password: str | None = None) -> AsyncIterator[MailServer]:
    """`pair`: of its certificate; None: it has no TLS."""
    made, context = MailServer(), None
    if pair is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(pair.certificate, pair.key)

    def authenticated(
        _server: object, _session: object, _envelope: object, _mechanism: object, data: Any
    ) -> AuthResult:
        accepted = isinstance(data, LoginPassword) and data.password.decode() == password
        return AuthResult(success=accepted, handled=False)

    def protocol() -> SMTP:
        return SMTP(
            made,
            hostname="localhost",
            tls_context=context,
            require_starttls=context is not None,
            auth_required=password is not None,
            authenticator=authenticated,
            loop=asyncio.get_running_loop(),
        )

    server = await asyncio.get_running_loop().create_server(protocol, "127.0.0.1", 0)
    made.port = server.sockets[0].getsockname()[1]
    try:
        yield made
    finally:
        server.close()
        await server.wait_closed()
