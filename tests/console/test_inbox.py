"""Requests in the browser: what a reviewer sees, and that a verdict counts only for what was read."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta
from html import unescape
from pathlib import Path

import pytest

from pgjit.api.refusals import CallRefused
from pgjit.errors import ServerUnavailable
from pgjit.grants.holder import Holder
from pgjit.grants.request import Request, RequestState
from pgjit.grants.usage import Usage
from pgjit.identity.identity import IdentityKind
from tests.api.memory_store import a_window
from tests.api.people import NOW, PEOPLE, KnownGroups
from tests.api.test_access import CATALOG
from tests.api.test_access_matrix import furnished
from tests.console.story import EVIL
from tests.console.visits import Visits

AWAY = ServerUnavailable("window store cannot be used", reference="store-unavailable", detail="no route")


def form(page: str, path: str) -> dict[str, str]:
    """The hidden fields of the form that is sent to `path`."""
    found = re.search(rf'<form method="post" action="{re.escape(path)}".*?</form>', page, re.DOTALL)
    assert found is not None, path
    fields = re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)">', found[0])
    return {name: unescape(value) for name, value in fields}


def texts(page: str) -> str:
    """The words of a page, without markup."""
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", page.partition("<main")[2])).split())


async def asked(visits: Visits, name: str = "requester", **changes: object) -> Request:
    """A request under the policy `reviewed`."""
    await furnished(visits)
    [made] = visits.store.all_requests.values()
    visits.store.all_requests[made.id] = made = replace(made, **changes)  # type: ignore[arg-type]
    return made


async def test_a_reviewer_sees_what_there_is_to_decide_by(tmp_path: Path) -> None:
    async with Visits(tmp_path, directory=KnownGroups()) as visits:
        request = await asked(visits)
        visits.use(catalogs=lambda _connection: CATALOG)
        holder = Holder(kind=IdentityKind.USER)
        past = a_window("past", PEOPLE["requester"].key, NOW - timedelta(days=1), "reviewed", holder=holder)
        visits.store.all_windows = {"w_past": replace(past, ended_at=NOW, end_reason="ttl")}
        visits.store.usages["w_past"] = Usage(rows=1234, bytes=99, statements=17)
        rita = await visits.of("reviewer")
        inbox = await rita.get("/requests")
        assert inbox.status_code == 200
        assert f'href="/requests/{request.id}"' in inbox.text
        page = await rita.get(f"/requests/{request.id}")
        words = texts(page.text)
        for each in ("schema diff", "public.orders", "17 statements", "234 rows", "as asked", "half of it"):
            assert each in words, each
        assert form(page.text, f"/requests/{request.id}/approve")["digest"] == request.ask.digest
        assert len(page.content) < 100_000


async def test_half_the_time_is_approved_with_the_digest_that_was_shown(tmp_path: Path) -> None:
    async with Visits(tmp_path) as visits:
        request = await asked(visits)
        rita = await visits.of("reviewer")
        path = f"/requests/{request.id}"
        fields = form((await rita.get(path)).text, f"{path}/approve")
        response = await rita.post(f"{path}/approve", {**fields, "cap": "half", "comment": "fine"})
        assert (response.status_code, response.headers["location"]) == (303, path)
        decided = visits.store.all_requests[request.id]
        assert (decided.state, decided.verdicts[0].ttl) == (RequestState.APPROVED, request.ask.ttl / 2)
        assert decided.verdicts[0].comment == "fine"
        page = texts((await rita.get(path)).text)
        assert "Approved for 30 min. If no session waits for it, the window opens with the next login." in page
        assert "30 min, shortened by a reviewer (asked: 1 h)" in page
        assert "by api" not in page
        visits.store.all_requests[request.id] = replace(decided, state=RequestState.USED, window="w_1")
        used = texts((await rita.get(path)).text)
        assert "approved and its window was opened" in used
        assert "It has opened this window" in used
        assert "next login" not in used
        assert "reviewer" in page


@pytest.mark.parametrize(
    ("fields", "status", "says"),
    [
        ({"digest": "0" * 64}, 409, "approval"),
        ({"digest": "x"}, 422, "digest"),
        ({"digest": ""}, 400, "digest"),
        ({"cap": "all of it"}, 400, "cap"),
        ({"cap": ""}, 400, "cap"),
        ({"cap": "other", "other": ""}, 400, "a shorter time"),
        ({"cap": "other", "other": "soon"}, 400, "a shorter time"),
        ({"cap": "other", "other": "1000d"}, 400, "a shorter time"),
        ({"cap": "other", "other": "9h"}, 422, "ttl"),
        ({"cap": "half", "asked": "0"}, 400, "asked"),
        ({"cap": "half", "asked": "-5"}, 400, "asked"),
        ({"cap": "half", "asked": ""}, 400, "asked"),
        ({"comment": "x" * 1001}, 400, "Comment"),
        ({"comment": "a\x07b"}, 400, "Comment"),
        ({"csrf": "x" * 43}, 403, "form"),
    ],
)
async def test_a_field_that_is_not_accepted_changes_nothing(
    fields: dict[str, str], status: int, says: str, tmp_path: Path
) -> None:
    async with Visits(tmp_path) as visits:
        request = await asked(visits)
        rita = await visits.of("reviewer")
        path = f"/requests/{request.id}"
        good = form((await rita.get(path)).text, f"{path}/approve")
        response = await rita.post(f"{path}/approve", {**good, "cap": "whole", **fields})
        assert response.status_code == status, texts(response.text)
        assert says in response.text
        assert visits.store.all_requests[request.id] == request


@pytest.mark.parametrize("cap", ["whole", "half"])
async def test_a_typed_time_beside_another_choice_is_refused_on_the_page_of_the_request(
    cap: str, tmp_path: Path
) -> None:
    async with Visits(tmp_path) as visits:
        request = await asked(visits)
        rita = await visits.of("reviewer")
        path = f"/requests/{request.id}"
        fields = form((await rita.get(path)).text, f"{path}/approve")
        refused = await rita.post(f"{path}/approve", {**fields, "cap": cap, "other": "5m", "comment": "read it"})
        assert refused.status_code == 400
        for each in ("Approval names two times", "Nothing was changed by what you sent", "cap-ambiguous"):
            assert each in texts(refused.text), each
        assert 'value="read it"' in refused.text
        assert visits.store.all_requests[request.id] == request
        approval = ("reviewer", "reviewer", "POST", f"{path}/approve")
        assert approval not in visits.calls()
        meant = await rita.post(f"{path}/approve", {**fields, "cap": "other", "other": "5m"})
        assert meant.status_code == 303
        assert approval in visits.calls()
        assert visits.store.all_requests[request.id].verdicts[0].ttl == timedelta(minutes=5)


@pytest.mark.parametrize("reason", ["", " \n ", "x" * 1001, "a\x00b"])
async def test_a_refusal_needs_a_reason(reason: str, tmp_path: Path) -> None:
    async with Visits(tmp_path) as visits:
        request = await asked(visits)
        rita = await visits.of("reviewer")
        path = f"/requests/{request.id}/refuse"
        fields = form((await rita.get(f"/requests/{request.id}")).text, path)
        assert (await rita.post(path, {**fields, "reason": reason})).status_code == 400
        other = await rita.post(path, {**fields, "reason": "not now", "digest": "0" * 64})
        assert other.status_code == 409
        assert "Refusal does not apply" in other.text
        assert visits.store.all_requests[request.id] == request


async def test_of_two_reviewers_at_once_the_second_reads_what_the_first_decided(tmp_path: Path) -> None:
    async with Visits(tmp_path) as visits:
        request = await asked(visits)
        path = f"/requests/{request.id}"
        rita, rob = await visits.of("reviewer"), await visits.of("reviewer2")
        fields = form((await rita.get(path)).text, f"{path}/approve")
        other = form((await rob.get(path)).text, f"{path}/approve")
        refused = {"reason": "not today", "csrf": fields["csrf"], "digest": fields["digest"]}
        assert (await rita.post(f"{path}/refuse", refused)).status_code == 303
        late = await rob.post(f"{path}/approve", {**other, "cap": "whole"})
        assert late.status_code == 409
        words = texts(late.text)
        assert "Nothing was changed by what you sent" in words
        assert "not today" in words
        assert visits.store.all_requests[request.id].state is RequestState.REFUSED
        assert f'action="{path}/approve"' not in late.text


async def test_a_request_that_lapses_while_one_looks_says_so(tmp_path: Path) -> None:
    async with Visits(tmp_path) as visits:
        request = await asked(visits)
        rita = await visits.of("reviewer")
        path = f"/requests/{request.id}"
        page = (await rita.get(path)).text
        assert f'data-until="{request.lapses_at.isoformat().replace("+00:00", "Z")}"' in page
        assert f'data-ids="{request.id}"' in page
        visits.store.all_requests[request.id] = replace(request, lapses_at=NOW - timedelta(seconds=1))
        late = await rita.post(f"{path}/approve", {**form(page, f"{path}/approve"), "cap": "whole"})
        assert late.status_code == 409
        assert "lapsed" in late.text
        assert "You cannot decide on it" in texts(late.text)


async def test_a_role_that_is_revoked_while_a_page_is_open_decides_nothing(tmp_path: Path) -> None:
    directory = KnownGroups()
    async with Visits(tmp_path, directory=directory) as visits:
        request = await asked(visits)
        rita = await visits.of("reviewer")
        path = f"/requests/{request.id}"
        fields = form((await rita.get(path)).text, f"{path}/approve")
        directory.groups["oid-reviewer"] = frozenset()
        response = await rita.post(f"{path}/approve", {**fields, "cap": "whole"})
        assert response.status_code == 403
        assert visits.store.all_requests[request.id] == request


async def test_the_own_request_can_be_withdrawn_and_not_decided(tmp_path: Path) -> None:
    async with Visits(tmp_path) as visits:
        request = await asked(visits)
        path = f"/requests/{request.id}"
        own = await visits.of("requester")
        page = (await own.get(path)).text
        assert f'action="{path}/approve"' not in page
        done = await own.post(f"{path}/withdraw", {**form(page, f"{path}/withdraw"), "reason": ""})
        assert done.status_code == 303
        assert visits.store.all_requests[request.id].state is RequestState.WITHDRAWN
        other = await visits.of("other")
        assert (await other.get(path)).status_code == 404
        assert (await other.post(f"{path}/withdraw", {"reason": "x", "csrf": await other.csrf()})).status_code == 404


async def test_what_a_requester_wrote_is_shown_as_text(tmp_path: Path) -> None:
    async with Visits(tmp_path) as visits:
        request = await asked(visits)
        ask = replace(request.ask, reason=EVIL, ticket=EVIL)
        visits.store.all_requests[request.id] = replace(request, ask=ask, display=EVIL)
        rita = await visits.of("reviewer")
        for path in ("/requests", f"/requests/{request.id}"):
            page = (await rita.get(path)).text
            assert "<script>alert" not in page
            assert "&lt;script&gt;" in page
            assert "\u202e" not in page
            assert "\x07" not in page
            assert "U+202E" in page


async def test_what_the_journal_cannot_say_now_is_not_known_and_the_rest_is_shown(tmp_path: Path) -> None:
    async with Visits(tmp_path) as visits:
        request = await asked(visits)
        holder = Holder(kind=IdentityKind.USER)
        visits.store.all_windows = {"w_1": a_window("1", PEOPLE["requester"].key, NOW, "reviewed", holder=holder)}
        rita = await visits.of("reviewer")
        path = f"/requests/{request.id}?activity=1"
        assert "3 executions, 1 refused ; read public.orders" in texts((await rita.get(path)).text)

        async def refused(question: object) -> dict[str, object]:
            raise CallRefused("audit took too long", reference="audit-slow", status=503)

        visits.audit.answer = refused  # type: ignore[method-assign]
        page = await rita.get(path)
        assert page.status_code == 200
        assert "What ran is not known now" in texts(page.text)
        assert f'action="/requests/{request.id}/approve"' in page.text


@pytest.mark.parametrize("what", ["approve", "refuse"])
async def test_a_verdict_that_cannot_be_recorded_does_not_count(what: str, tmp_path: Path) -> None:
    async with Visits(tmp_path) as visits:
        request = await asked(visits)
        rita = await visits.of("reviewer")
        path = f"/requests/{request.id}"
        fields = form((await rita.get(path)).text, f"{path}/{what}")
        await visits.journal.close()
        page = await rita.post(f"{path}/{what}", {**fields, "cap": "whole", "reason": "no"})
        assert (page.status_code, "Reference: journal-unavailable" in texts(page.text)) == (503, True)
        assert "set-cookie" not in page.headers
        kept = visits.store.all_requests[request.id]
        assert (kept.state, list(kept.verdicts)) == (RequestState.PENDING, [])


async def test_a_store_that_is_away_is_a_page_that_says_so(tmp_path: Path) -> None:
    async with Visits(tmp_path) as visits:
        await asked(visits)
        rita = await visits.of("reviewer")

        async def away(*_: object) -> None:
            raise AWAY

        visits.store.requests = away  # type: ignore[method-assign,assignment]
        page = await rita.get("/requests")
        assert page.status_code == 503
        assert "schema diff" not in page.text


async def test_lists_are_paged(tmp_path: Path) -> None:
    async with Visits(tmp_path) as visits:
        request = await asked(visits)
        visits.store.all_requests = {f"r_{n}": replace(request, id=f"r_{n}") for n in range(1000)}
        rita = await visits.of("reviewer")
        first = await rita.get("/requests?policy=reviewed")
        assert len(first.content) < 100_000
        assert first.text.count('href="/requests/r_') == 50
        following = re.search(r'rel="next" href="([^"]+)"', first.text)
        assert following is not None
        assert "policy=reviewed" in following[1]
        second = await rita.get(unescape(following[1]))
        assert 'href="/requests/r_50"' in second.text
        assert 'href="/requests/r_0"' not in second.text


@pytest.mark.parametrize("path", ["/requests?state=odd", "/requests?cursor=odd", "/requests?policy=" + "x" * 300])
async def test_a_filter_that_is_not_accepted_is_a_page_that_teaches(path: str, tmp_path: Path) -> None:
    async with Visits(tmp_path) as visits:
        rita = await visits.of("reviewer")
        page = await rita.get(path)
        assert page.status_code in (400, 422)
        assert "<h1" in page.text


async def test_a_look_at_the_request_of_somebody_else_is_in_the_record(tmp_path: Path) -> None:
    async with Visits(tmp_path) as visits:
        request = await asked(visits)
        rita = await visits.of("reviewer")
        await rita.get(f"/requests/{request.id}")
        assert ("reviewer", "reviewer", "GET", f"/requests/{request.id}/context") in visits.calls()
