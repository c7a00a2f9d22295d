"""The channel `mail`: one plain text message for each notification, by SMTP over verified TLS.

Everybody is in `Bcc`'s place, so that no recipient learns of another. `Message-ID` is the same in every attempt.
A recipient that the server refuses for now is tried again alone: the others have the letter.

INVARIANT: a header holds pgjit's own words and addresses from the configuration. Untrusted text is in the body.
"""

from __future__ import annotations

import logging
import ssl
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime

import aiosmtplib

from pgjit.grants.request import RequestState
from pgjit.notify.announcement import Announcement
from pgjit.notify.channel import NeverSent, NotSent
from pgjit.notify.people import People
from pgjit.notify.plain_text import one_line, visible
from pgjit.notify.section import MailSection
from pgjit.server.credential import CredentialUnavailable, LoginCredential

__all__ = ["Mail", "letter"]

_log = logging.getLogger("pgjit.notify")
_SECONDS = 15.0
_LOGIN_CODES = frozenset({530, 534, 535, 538})


class Mail:
    def __init__(
        self, section: MailSection, people: People, password: LoginCredential | None, tls: ssl.SSLContext
    ) -> None:
        self._section = section
        self._people = people
        self._password = password
        self._tls = tls

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        yield

    async def send(self, announcement: Announcement) -> None:
        recipients = self._recipients(announcement)
        if not recipients:
            return
        section = self._section
        client = aiosmtplib.SMTP(
            hostname=section.host,
            port=section.port,
            use_tls=section.tls == "tls",
            start_tls=section.tls == "starttls",  # it raises if the server has none: nothing is sent in the clear
            tls_context=self._tls,
            timeout=_SECONDS,
        )
        try:
            password = None if self._password is None else await self._password.secret()
            async with client:
                if section.username is not None and password is not None:
                    await client.login(section.username, password)
                refused, _ = await client.send_message(
                    letter(announcement, section.sender), sender=section.sender, recipients=recipients
                )
        except CredentialUnavailable as fault:
            raise NotSent(str(fault), report=True) from None
        except (aiosmtplib.SMTPException, OSError) as fault:
            raise _meaning(fault) from None
        if for_now := _refused_for_now((name, answer.code) for name, answer in refused.items()):
            raise NotSent(
                f"{len(for_now)} of {len(recipients)} recipients are refused for now, and only they are tried again",
                missing=for_now,
            )
        if refused:
            _log.warning("%d of %d recipients of %s are refused", len(refused), len(recipients), announcement.id)

    def _recipients(self, announcement: Announcement) -> list[str]:
        recipients = set(self._section.to)
        request = announcement.request
        if request is not None and self._section.approvers and announcement.event == "request.made":
            recipients |= _addresses(each.mail for each in self._people.to_notify(request))
        decided = request is not None and request.state is not RequestState.PENDING
        if request is not None and self._section.requester and decided:
            person = self._people.of_key(request.ask.identity)
            recipients |= _addresses([None if person is None else person.mail])
        if announcement.missing is not None:
            recipients &= set(announcement.missing)
        return sorted(recipients)


def letter(announcement: Announcement, sender: str) -> EmailMessage:
    message = EmailMessage(policy=SMTP)
    message["From"] = sender
    message["To"] = "undisclosed-recipients:;"
    message["Subject"] = one_line(f"[pgjit] {announcement.title}" + (" (repeated)" if announcement.repeat else ""))
    message["Date"] = format_datetime(announcement.created_at)
    message["Message-ID"] = f"<{announcement.id}@{sender.rpartition('@')[2]}>"
    message["Auto-Submitted"] = "auto-generated"
    if announcement.loud:
        message["Importance"] = "high"
    message.set_content(_body(announcement))
    return message


def _body(announcement: Announcement) -> str:
    lines = [f"{announcement.title}.", ""]
    for name, text in announcement.facts:
        first, *rest = visible(text).split("\n")
        lines += [f"{name + ':':<14} {first}", *(f"{'':<14} {line}" for line in rest)]
    if announcement.link is not None:
        lines += ["", announcement.link]
    if announcement.repeat:
        lines += ["", "This message may have reached you before."]
    return "\n".join(lines) + "\n"


def _addresses(addresses: Iterable[str | None]) -> set[str]:
    return {each for each in addresses if each is not None}


def _refused_for_now(answers: Iterable[tuple[str, int]]) -> tuple[str, ...]:
    return tuple(sorted(recipient for recipient, code in answers if code < 500))


def _meaning(fault: Exception) -> NotSent | NeverSent:
    """5xx answers about the letter are final; what an operator can correct is reported. No answer is quoted."""
    code = getattr(fault, "code", None)
    if type(fault) is aiosmtplib.SMTPException:
        return NotSent("the server offers no STARTTLS, or no login that is known", report=True)
    if isinstance(fault, aiosmtplib.SMTPAuthenticationError) or code in _LOGIN_CODES:
        return NotSent(f"the server refuses the login ({code})", report=True)
    if isinstance(fault, aiosmtplib.SMTPRecipientsRefused):
        for_now = _refused_for_now((each.recipient, each.code) for each in fault.recipients)
        if not for_now:
            return NeverSent("every recipient is refused")
        return NotSent("every recipient is refused for now", missing=for_now)
    if isinstance(fault, ssl.SSLError) or isinstance(fault.__cause__, ssl.SSLError):
        return NotSent("the server's certificate cannot be verified", report=True)
    if code is not None and 500 <= code < 600:
        return NeverSent(f"answered {code}")
    return NotSent(f"no success: {type(fault).__name__}" + ("" if code is None else f" ({code})"))
