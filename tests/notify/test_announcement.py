"""What a notification says: titles without untrusted text, facts, links, and data for programs."""

from __future__ import annotations

import json
from dataclasses import replace

import orjson
import pytest

from pgjit.grants.holder import Holder
from pgjit.grants.lock import Lock
from pgjit.grants.scope import Scope, ScopeKind
from pgjit.grants.value_text import ACTOR, LOCK, REQUEST_TEXT, WINDOW
from pgjit.grants.window import SignOff, Window
from pgjit.identity.identity import IdentityKind
from pgjit.notify.announcement import Announcement
from pgjit.notify.events import EVENTS
from tests.contracts.store import ALICE, HOUR, NOW
from tests.grants.review_cast import ADMIN, request
from tests.notify.announcements import a_request_made, announced

EVIL = "<!channel>\r\nSubject: evil"
WINDOW_1 = Window(
    id="w_1",
    identity=ALICE,
    policy="emergency",
    connection="shop",
    opened_at=NOW,
    ends_at=NOW + HOUR,
    retry_at=NOW + HOUR,
    break_glass=True,
)
MALLORY = replace(ADMIN, display=EVIL)
LOCK_1 = Lock(id="l_1", scope=Scope(ScopeKind.POLICY, EVIL), reason=EVIL, set_by=MALLORY, set_at=NOW)


def _announced() -> list[Announcement]:
    used = orjson.dumps({"window": WINDOW.write(WINDOW_1), "reason": EVIL}).decode()
    ended = replace(WINDOW_1, ended_at=NOW + HOUR, end_reason="ttl")
    due = orjson.dumps({"window": WINDOW.write(ended), "due_at": NOW + 2 * HOUR}).decode()
    signed = replace(ended, signed_off=SignOff(by=MALLORY, comment=EVIL, at=NOW + HOUR))
    revoked = replace(WINDOW_1, revoked_at=NOW, revoked_by=MALLORY, revoke_reason=EVIL)
    lifted = {"lock": LOCK.write(LOCK_1), "by": ACTOR.write(MALLORY), "reason": EVIL, "at": NOW}
    return [
        a_request_made(reason=EVIL),
        a_request_made(reason=EVIL, verdict="approved"),
        a_request_made(reason=EVIL, verdict="refused"),
        announced("break_glass.used", used, "w_1"),
        announced("break_glass.signed_off", WINDOW.write(signed), "w_1"),
        announced("sign_off.due", due, "w_1"),
        announced("sign_off.overdue", due, "w_1"),
        announced("window.revoked", WINDOW.write(revoked), "w_1"),
        announced("lock.set", LOCK.write(LOCK_1), "l_1"),
        announced("lock.lifted", orjson.dumps(lifted).decode(), "l_1"),
        announced("test", "{}", "t_1"),
    ]


def test_an_agent_that_acts_for_a_person_is_named() -> None:
    holder = Holder(kind=IdentityKind.USER, app_id="an-agent", on_behalf_of=ALICE.oid)
    made = replace(request(), ask=replace(request().ask, holder=holder))
    facts = dict(announced("request.made", REQUEST_TEXT.write(made)).facts)
    assert facts["requester"] == f"agent an-agent on behalf of an agent ({ALICE.tid}/{ALICE.oid})"
    revoked = WINDOW.write(replace(WINDOW_1, holder=holder))
    facts = dict(announced("window.revoked", revoked, "w_1").facts)
    assert facts["identity"] == f"agent an-agent on behalf of {ALICE.tid}/{ALICE.oid}"


@pytest.mark.parametrize("announcement", _announced(), ids=lambda each: each.event)
def test_a_title_has_no_untrusted_text_and_the_facts_have_all_of_it(announcement: Announcement) -> None:
    assert announcement.event in EVENTS
    assert "evil" not in announcement.title
    assert "\n" not in announcement.title
    if announcement.event != "test" and not announcement.event.startswith("sign_off."):
        assert EVIL in str([text for _, text in announcement.facts]).replace("\\r\\n", "\r\n") or (
            announcement.event == "request.refused"
        )
    body = json.loads(announcement.json)
    assert (body["type"], body["timestamp"]) == (announcement.event, "2026-11-24T09:00:00.123456+00:00")
    kind = {"r": "request", "w": "window", "l": "lock", "t": "test"}[announcement.subject[0]]
    assert announcement.link == f"https://pgjit.test/{kind}/{announcement.subject}"


def test_what_is_loud() -> None:
    assert [each.event for each in _announced() if each.loud] == ["break_glass.used", "sign_off.overdue"]


@pytest.mark.parametrize("body", ["", "[]", "{}", '{"state": "pending"}'])
def test_a_body_that_pgjit_did_not_write_is_an_error(body: str) -> None:
    for event in ("request.made", "lock.lifted", "break_glass.used"):
        with pytest.raises((ValueError, KeyError, TypeError)):
            announced(event, body)
