"""Audit: filters that are in the address, what is found, one execution, CSV, and searches that are saved."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlencode

import pytest

from pgjit.api.refusals import AuditPreparing, CallRefused
from pgjit.console.audit_filters import FILTERS
from pgjit.errors import ServerUnavailable
from tests.console.audit_answers import DETAIL, EXECUTION, HOSTILE, REFUSED, assert_text_only
from tests.console.visits import Visits

VALUES = {
    "text": "customers", "identity": "ana@example.com", "object": "public.customers", "since": "2h", "until": "now",
    "policy": "reading", "connection": "shop", "group": "g", "decision": "deny", "ended": "failed",
    "rule": "write-scope", "sqlstate": "42501", "kind": "select", "window": "w_1", "session": "abc",
    "catalog": "true", "after_end": "true",
}  # fmt: skip


async def test_the_filters_of_the_address_reach_the_audit_and_stay_in_the_form(tmp_path: Path) -> None:
    assert set(VALUES) == set(FILTERS)
    async with Visits(tmp_path) as visits:
        ana = await visits.of("auditor")
        visits.audit.answers["executions"] = {"items": [EXECUTION], "more": True}
        page = await ana.get(f"/audit?{urlencode(VALUES)}")
        assert page.status_code == 200, page.text
        [asked] = visits.audit.questions
        narrowed = {name: value for name, value in asked["filter"].items() if name != "before"}
        flags = {"catalog": True, "after_end": True}
        expected = {**{"touches" if name == "object" else name: value for name, value in VALUES.items()}, **flags}
        assert narrowed == expected
        assert asked["limit"] == 100
        for text in (
            "customers",
            "42501",
            "ana@example.com",
            "/audit/executions/abc/3",
            "SELECT * FROM public.customers",
        ):
            assert text in page.text
        assert f'href="/audit/executions.csv?{urlencode(VALUES).replace("&", "&amp;")}"' in page.text
        assert 'rel="next"' in page.text
        calls = [each for each in visits.calls() if each[3].startswith("/audit")]
        assert calls == [("auditor", "auditor", "GET", "/audit/executions")]


async def test_empty_fields_are_left_out_of_the_address(tmp_path: Path) -> None:
    async with Visits(tmp_path) as visits:
        ana = await visits.of("auditor")
        sent = await ana.get("/audit?text=&identity=+ana+&decision=&since=")
        assert (sent.status_code, sent.headers["location"]) == (303, "/audit?identity=ana")
        assert (await ana.get("/audit?text=")).headers["location"] == "/audit"
        assert visits.audit.questions == []


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("identiy=ana", "There is none of this name here"),
        ("decision=maybe", "It must be one of: allow, deny."),
        ("ended=never", "It must be one of: completed"),
        ("catalog=1", "It must be one of: true."),
        ("after_end=x", "It must be one of: true."),
        ("text=a&text=b", "more than once"),
        *((f"{name}=a%00b", "control characters") for name in FILTERS if not FILTERS[name].choices),
        *((f"{name}={'x' * (FILTERS[name].most + 1)}", "at most") for name in FILTERS if not FILTERS[name].choices),
        ("text=%ff", "malformed"),
        ("&".join(f"a{n}=1" for n in range(60)), "too many fields"),
        ("%0d%0aX-Header:%20y=1", "There is none of this name here"),
    ],
)
async def test_a_malformed_address_says_what_is_accepted_and_asks_nobody(
    query: str, said: str, tmp_path: Path
) -> None:
    async with Visits(tmp_path) as visits:
        ana = await visits.of("auditor")
        for path in ("/audit", "/audit/executions.csv"):
            page = await ana.get(f"{path}?{query}")
            assert (path, page.status_code, said in page.text) == (path, 400, True), page.text
            assert "X-Header" not in page.headers
        assert visits.audit.questions == []


async def test_a_moment_that_is_none_is_told_beside_the_form(tmp_path: Path) -> None:
    async with Visits(tmp_path) as visits:
        ana = await visits.of("auditor")
        visits.audit.fault = CallRefused(
            "`soon` is no moment", reference="invalid-moment", status=400, hint="Write `2026-11-28`."
        )
        page = await ana.get("/audit?since=soon&text=x")
        assert page.status_code == 400
        assert 'value="soon"' in page.text
        assert "`soon` is no moment" in page.text
        assert "Write `2026-11-28`." in page.text
        assert "cursor" in (await ana.get("/audit?cursor=x")).text


async def test_statements_are_text_whatever_is_in_them(tmp_path: Path) -> None:
    item = {
        **EXECUTION,
        **dict.fromkeys(("statement", "display", "policy", "connection", "message", "sqlstate"), HOSTILE),
    }
    item |= {"ended": "failed", "execution": "abc/3", "oid": HOSTILE, "rules": [HOSTILE]}
    async with Visits(tmp_path) as visits:
        ana = await visits.of("auditor")
        visits.audit.answers["executions"] = {
            "items": [item, {**item, "decision": "deny"}], "more": False, "complete": False, "notices": [HOSTILE],
        }  # fmt: skip
        page = await ana.get("/audit")
        assert page.status_code == 200
        assert_text_only(page.text)
        assert "This is not complete." in page.text
        assert "U+202E" in page.text


async def test_an_execution_without_an_end_or_over_a_limit_says_so(tmp_path: Path) -> None:
    async with Visits(tmp_path) as visits:
        ana = await visits.of("auditor")
        for ended, said in (
            ("unknown", 'no end yet</span> <span class="hint">it runs, or pgjit was stopped while it ran'),
            ("limited", 'limited</span> <span class="hint">stopped by a limit of the policy'),
        ):
            visits.audit.answers["executions"] = {"items": [{**EXECUTION, "ended": ended}], "more": False}
            page = await ana.get(f"/audit?ended={ended}")
            assert said in page.text
            assert f'<option value="{ended}" selected>' in page.text
        assert '<span class="badge bad"><span aria-hidden="true">✕</span> limited</span>' in page.text


async def test_a_rule_that_refused_two_columns_is_named_once(tmp_path: Path) -> None:
    async with Visits(tmp_path) as visits:
        ana = await visits.of("auditor")
        item = {**REFUSED, "rules": ["denied", "denied", "write-scope"]}
        visits.audit.answers["executions"] = {"items": [item], "more": False}
        assert '<span class="hint">denied, write-scope</span>' in (await ana.get("/audit")).text


async def test_a_page_of_long_statements_is_bounded(tmp_path: Path) -> None:
    async with Visits(tmp_path) as visits:
        ana = await visits.of("auditor")
        item = {**EXECUTION, "statement": "x" * 400, "shortened": ["statement"]}
        visits.audit.answers["executions"] = {"items": [item] * 100, "more": True}
        page = await ana.get("/audit")
        assert visits.audit.questions[0]["characters"] == 400
        assert len(page.content) < 200_000
        assert page.text.count("</code>…") == 100


async def test_a_journal_that_is_still_prepared_says_how_far_it_is(tmp_path: Path) -> None:
    async with Visits(tmp_path) as visits:
        ana = await visits.of("auditor")
        visits.audit.fault = AuditPreparing(30_000_000, 120_000_000, 42)
        for path in ("/audit?text=x", "/audit/executions/abc/3", "/reports"):
            page = await ana.get(path)
            assert (path, page.status_code, page.headers["retry-after"]) == (path, 503, "42")
            assert "25 % of 120 MB are done" in page.text
            assert '<progress id="prepared" max="100" value="25">' in page.text
            assert 'data-again="42"' in page.text
        assert 'value="x"' in (await ana.get("/audit?text=x")).text
        assert (await ana.get("/audit/executions.csv")).status_code == 503


async def test_a_journal_or_a_store_that_is_away_is_not_known_rather_than_empty(tmp_path: Path) -> None:
    async with Visits(tmp_path) as visits:
        ana = await visits.of("auditor")
        visits.audit.fault = CallRefused("audit is busy", reference="audit-unavailable", status=503, hint="Wait.")
        page = await ana.get("/audit")
        assert page.status_code == 503
        assert "What ran is not known now:" in page.text
        assert "No execution has all of this" not in page.text
        visits.audit.fault = None
        visits.store.searches_fault = ServerUnavailable("window store cannot be used", reference="store-unavailable")
        page = await ana.get("/audit")
        assert page.status_code == 200
        assert "What you saved is not known now:" in page.text


async def test_an_execution_has_its_text_outcome_window_session_and_records(tmp_path: Path) -> None:
    async with Visits(tmp_path) as visits:
        ana = await visits.of("auditor")
        visits.audit.answers["execution"] = DETAIL
        page = await ana.get("/audit/executions/abc/3")
        assert page.status_code == 200, page.text
        for text in ("public.customers", "schema diff", "TLSv1.3", "Record 8: outcome", 'href="/windows/w_1"'):
            assert text in page.text
        assert "/proof/record?record=7&amp;journal=n1/0/abcdefgh" in page.text
        assert [each[3] for each in visits.calls()][-1] == "/audit/executions/abc/3"


async def test_a_refused_statement_shows_the_character_and_the_ground(tmp_path: Path) -> None:
    async with Visits(tmp_path) as visits:
        ana = await visits.of("auditor")
        visits.audit.answers["execution"] = {**DETAIL, "execution": REFUSED}
        page = await ana.get("/audit/executions/abc/4")
        assert "SELECT 1; <mark>D</mark>ROP TABLE t" in page.text
        assert "At character 11 of the statement." in page.text
        for text in ("the policy does not let `t` be changed", "Read it instead.", "policies/reading.yaml:12:5"):
            assert text in page.text


async def test_texts_of_an_execution_are_text_and_bounded(tmp_path: Path) -> None:
    names = ("statement", "display", "message", "kind", "source", "application_name", "group", "command", "identity")
    violation = {**dict.fromkeys(("rule", "message", "detail", "hint", "entry"), HOSTILE), "position": 3}
    execution = {
        **REFUSED, **dict.fromkeys(names, HOSTILE), "violations": [violation], "reads": [HOSTILE],
        "parameters": {"values": [HOSTILE]},
    }  # fmt: skip
    rows = [[HOSTILE, None, "y" * 10_000] for _ in range(500)]
    columns = [{"name": HOSTILE}, {"name": "b"}, {"name": "c"}]
    detail = {
        "execution": execution,
        "session": dict.fromkeys(("session", "kind", "on_behalf_of", "tls"), HOSTILE),
        "window": {"window": HOSTILE, "reason": HOSTILE, "opened_at": "2026-11-24T07:59:00.000000Z"},
        "records": [{"seq": 7, "type": HOSTILE, "statement": HOSTILE}, {"seq": 8, "type": "x", "y": "z" * 1_000_000}],
        "result": {"columns": columns, "rows": rows},
        "complete": False,
        "notices": [HOSTILE],
    }
    async with Visits(tmp_path) as visits:
        ana = await visits.of("auditor")
        visits.audit.answers["execution"] = detail
        page = await ana.get("/audit/executions/abc/4")
        assert page.status_code == 200
        assert_text_only(page.text)
        assert len(page.content) < 500_000
        assert "400 more" in page.text
        execution["statement"] = "SELECT 1 " * 1_000_000
        page = await ana.get("/audit/executions/abc/4")
        assert len(page.content) < 500_000
        assert "The statement is longer" in page.text
        detail["result"] = {"fault": HOSTILE}
        assert "They are not shown" in (await ana.get("/audit/executions/abc/4")).text


@pytest.mark.parametrize("path", ["abc/x", "a%00b/1", "abc/-", "a/b/1", "abc/99999999999999999999999999"])
async def test_no_such_execution_is_a_page_of_its_own(path: str, tmp_path: Path) -> None:
    async with Visits(tmp_path) as visits:
        ana = await visits.of("auditor")
        visits.audit.fault = CallRefused("record is not in the journal", reference="record-unknown", status=404)
        assert (await ana.get(f"/audit/executions/{path}")).status_code in (404, 422)


async def test_a_search_as_a_file(tmp_path: Path) -> None:
    async with Visits(tmp_path) as visits:
        ana = await visits.of("auditor")
        file = await ana.get("/audit/executions.csv?decision=deny")
        assert (file.status_code, file.text, file.headers["content-type"]) == (
            200,
            "seq\n7\n",
            "text/csv; charset=utf-8",
        )
        assert file.headers["content-disposition"] == 'attachment; filename="executions-first-10000.csv"'
        assert file.headers["x-content-type-options"] == "nosniff"
        assert visits.audit.questions[0]["filter"]["decision"] == "deny"
        assert [each[3] for each in visits.calls()][-1] == "/audit/executions.csv"


async def test_a_search_is_saved_opened_and_deleted(tmp_path: Path) -> None:
    async with Visits(tmp_path) as visits:
        ana = await visits.of("auditor")
        filters = "decision=deny&since=2h&catalog=true"
        saved = await ana.post("/audit/searches", {"name": "refused <b>", "filters": filters})
        assert (saved.status_code, saved.headers["location"]) == (303, f"/audit?{filters}")
        page = await ana.get(f"/audit?{filters}")
        assert "The search is saved as refused &lt;b&gt;." in page.text
        assert f'<a href="/audit?{filters.replace("&", "&amp;")}">refused &lt;b&gt;</a>' in page.text
        [kept] = visits.store.searches.values()
        assert kept.body == '{"filter": {"decision": "deny", "since": "2h", "catalog": true}}'
        deleted = await ana.post(f"/audit/searches/{kept.id}/delete", {"back": "/audit"})
        assert (deleted.status_code, deleted.headers["location"]) == (303, "/audit")
        assert visits.store.searches == {}


@pytest.mark.parametrize(
    "form",
    [
        {"name": "", "filters": "decision=deny"},
        {"name": "x" * 101, "filters": "decision=deny"},
        {"name": "a\nb", "filters": "decision=deny"},
        {"name": "x", "filters": ""},
        {"name": "x", "filters": "identiy=ana"},
        {"name": "x", "filters": "text="},
        {"name": "x", "filters": "cursor=x"},
        {"name": "x", "filters": "decision=maybe"},
        {"name": "x"},
    ],
)
async def test_a_malformed_search_is_not_saved(form: dict[str, str], tmp_path: Path) -> None:
    async with Visits(tmp_path) as visits:
        ana = await visits.of("auditor")
        assert (await ana.post("/audit/searches", form)).status_code == 400
        assert visits.store.searches == {}


async def test_a_search_of_somebody_else_and_a_way_back_elsewhere_are_refused(tmp_path: Path) -> None:
    async with Visits(tmp_path) as visits:
        ana = await visits.of("auditor")
        await ana.post("/audit/searches", {"name": "x", "filters": "text=a"})
        [kept] = visits.store.searches.values()
        admin = await visits.of("admin")
        assert (await admin.post(f"/audit/searches/{kept.id}/delete", {"back": "/audit"})).status_code == 404
        for back in ("https://elsewhere.test/", "//elsewhere.test", "/\\elsewhere.test", ""):
            assert (await ana.post(f"/audit/searches/{kept.id}/delete", {"back": back})).status_code == 400
        assert list(visits.store.searches) == [kept.id]
        assert (
            await ana.post("/audit/searches", {"name": "y", "filters": "text=a", "csrf": "no"})
        ).status_code == 403


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/audit"),
        ("GET", "/audit/executions.csv"),
        ("GET", "/audit/executions/abc/3"),
        ("GET", "/audit/sql"),
        ("POST", "/audit/sql"),
        ("POST", "/audit/searches"),
        ("POST", "/audit/searches/q_1/delete"),
        ("GET", "/proof"),
        ("GET", "/proof/progress"),
        ("GET", "/proof/record?record=1"),
        ("GET", "/proof/record/file?record=1"),
        ("GET", "/proof/check"),
        ("POST", "/proof/check"),
        ("POST", "/proof/verification"),
        ("GET", "/reports"),
        ("GET", "/reports/rows.csv"),
    ],
)
async def test_the_pages_are_for_auditors_and_admins(method: str, path: str, tmp_path: Path) -> None:
    async with Visits(tmp_path) as visits:
        for person in ("requester", "reviewer"):
            browser = await visits.of(person)
            response = await (browser.get(path) if method == "GET" else browser.post(path))
            assert (person, response.status_code) == (person, 403)
        nobody = visits.browser()
        response = await nobody.client.request(method, path, headers={"sec-fetch-site": "same-origin"})
        assert response.status_code in (303, 401)
        assert (visits.audit.questions, visits.proofs.asked) == ([], [])
