"""Letters to a mail server that speaks SMTP: TLS, recipients, headers that nobody can inject, refusals."""

from __future__ import annotations

import ssl
from dataclasses import replace
from pathlib import Path

import pytest

from pgjit.notify.announcement import Announcement
from pgjit.notify.channel import NeverSent, NotSent
from pgjit.notify.mail import Mail, letter
from pgjit.notify.people import People
from pgjit.notify.section import ChannelSecretSection, MailSection, PersonSection
from pgjit.server.credential import FixedSecret
from tests.contracts.store import ALICE
from tests.fakes.certificate_authority import Authority
from tests.fakes.mail_server import mail_server
from tests.grants.review_cast import CAROL, DAVE, DBAS
from tests.notify.announcements import a_request_made

pytestmark = pytest.mark.live

PEOPLE = People(
    {
        "carol": PersonSection(identity="/".join(CAROL), mail="carol@example.com", groups=(DBAS,)),
        "dave": PersonSection(identity="/".join(DAVE), mail="dave@example.com", groups=(DBAS,), quiet=True),
        "agent": PersonSection(identity="/".join(ALICE), mail="owner-of-agent@example.com"),
    }
)
BAD = "urgent\r\nBcc: evil@example.com\r\n\r\n\u202ebody"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("mail"))


async def _send(
    authority: Authority, port: int, announcement: Announcement, password: str | None = None, **keys: object
) -> None:
    if password is not None:
        keys |= {"username": "pgjit", "password": ChannelSecretSection(env="X")}
    section = MailSection.model_validate(
        {"host": "127.0.0.1", "port": port, "sender": "pgjit@example.com", "to": ["dba@example.com"], **keys}
    )
    tls = ssl.create_default_context(cafile=str(authority.root))
    await Mail(section, PEOPLE, None if password is None else FixedSecret(password), tls).send(announcement)


async def test_a_letter_goes_over_verified_tls_to_whom_it_concerns(authority: Authority) -> None:
    async with mail_server(authority.server("127.0.0.1"), password="hunter2") as server:
        for announcement in (a_request_made(), a_request_made(verdict="refused")):
            await _send(authority, server.port, announcement, "hunter2", approvers=True, requester=True)
        assert server.tls == [True, True]
        assert server.recipients == [
            ["carol@example.com", "dba@example.com"],  # dave is quiet
            ["dba@example.com", "owner-of-agent@example.com"],
        ]
        body = server.letters[1].get_content()
        assert "no *way* <!channel>" in body
        with pytest.raises(NotSent, match="refuses the login") as failed:
            await _send(authority, server.port, a_request_made(), "wrong")
        assert failed.value.report
        assert len(server.letters) == 2


async def test_no_text_of_a_request_comes_into_a_header(authority: Authority) -> None:
    async with mail_server(authority.server("127.0.0.1")) as server:
        await _send(authority, server.port, a_request_made(reason=BAD, attempt=2))
        (sent,) = server.letters
        assert sorted(sent.keys()) == sorted(
            ["From", "To", "Subject", "Date", "Message-ID", "Auto-Submitted", "MIME-Version", "Content-Type",
             "Content-Transfer-Encoding"]
        )  # fmt: skip
        assert server.recipients == [["dba@example.com"]]
        assert sent["Subject"] == "[pgjit] Access requested under policy schema-checks (repeated)"
        assert sent["Message-ID"] == "<n_1@example.com>"
        assert "\u202e" not in sent.get_content()
        assert "Bcc: evil@example.com" in sent.get_content()


@pytest.mark.parametrize("trusted", [True, False])
async def test_nothing_is_sent_without_tls_that_can_be_verified(
    authority: Authority, tmp_path: Path, trusted: bool
) -> None:
    pair = None if trusted else Authority(tmp_path, "others").server("127.0.0.1")
    async with mail_server(pair) as server:
        with pytest.raises(NotSent) as failed:
            await _send(authority, server.port, a_request_made())
        assert failed.value.report
        assert server.letters == []


async def test_an_answer_decides_whether_it_is_tried_again(authority: Authority) -> None:
    async with mail_server(authority.server("127.0.0.1")) as server:
        server.answer = "451 later"
        with pytest.raises(NotSent, match="451"):
            await _send(authority, server.port, a_request_made())
        server.answer = "554 no"
        with pytest.raises(NeverSent, match="554"):
            await _send(authority, server.port, a_request_made())
        server.answer = "250 OK"
        server.refused = {"a@example.com": "450 greylisted"}
        both = ["a@example.com", "b@example.com"]
        with pytest.raises(NotSent, match="1 of 2 recipients are refused for now") as partly:
            await _send(authority, server.port, a_request_made(), to=both)
        assert partly.value.missing == ("a@example.com",)
        again = replace(a_request_made(attempt=2), missing=partly.value.missing)
        with pytest.raises(NotSent, match="every recipient is refused for now") as still:
            await _send(authority, server.port, again, to=both)
        assert still.value.missing == ("a@example.com",)
        assert server.recipients == [["b@example.com"]]  # and not a second time
        server.refused = {}
        await _send(authority, server.port, again, to=both)
        assert server.recipients.pop() == ["a@example.com"]
        server.refused = {"a@example.com": "550 unknown"}
        with pytest.raises(NeverSent, match="every recipient is refused"):
            await _send(authority, server.port, a_request_made(), to=["a@example.com"])
        await _send(authority, server.port, a_request_made(), to=["a@example.com", "b@example.com"])
        assert server.recipients == [["b@example.com"], ["b@example.com"]]
    with pytest.raises(NotSent):
        await _send(authority, server.port, a_request_made())


def test_a_verdict_is_written_as_facts() -> None:
    text = letter(a_request_made(verdict="approved"), "pgjit@example.com").get_content()
    assert "Request approved under policy schema-checks." in text
    assert "https://pgjit.test/request/r_1" in text
