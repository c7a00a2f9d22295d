"""Policies: the file in force and what has become of it, a statement to try, its tests."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from pgjit.api.reload_result import ReloadResult, ReloadStanding
from pgjit.errors import ServerUnavailable
from pgjit.grants.actor import Actor
from tests.api.people import NOW
from tests.api.test_policy_files import CATALOG, Folder
from tests.console.visits import Visits
from tests.judging.test_explanation import FILE

HOSTILE = "SELECT '<script>alert(1)</script>', '\u202e\u200b', \"</textarea>\""


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path / "policies")


@pytest.fixture
async def visits(tmp_path: Path, folder: Folder) -> AsyncIterator[Visits]:
    async with Visits(tmp_path) as visits:
        folder.put_in_force(visits)
        yield visits


async def test_the_file_in_force_is_shown_with_its_version(visits: Visits) -> None:
    auditor = await visits.of("auditor")
    page = (await auditor.get("/policies")).text
    assert '<a href="/policies/reader">reader</a>' in page
    assert "in-force" in page
    page = (await auditor.get("/policies/reader")).text
    assert visits.services.policies["reader"].version in page
    assert '<li id="L10"><code>    - relations: [public.salaries]   # pay</code></li>' in page
    assert "is not what is in force" not in page


async def test_a_file_that_was_changed_is_named_as_not_in_force(visits: Visits, folder: Folder) -> None:
    admin = await visits.of("admin")
    folder.reader.write_text(FILE.replace("salaries", "changed_since"))
    (folder.path / "new.yaml").write_text("policy: new")
    listed = (await admin.get("/policies")).text
    assert "1 file is not what is in force" in listed
    assert "new.yaml" in listed
    page = (await admin.get("/policies/reader")).text
    assert "The file on this node is not what is in force" in page
    assert "It was changed since it was read" in page
    assert "salaries" in page
    assert "changed_since" not in page
    folder.reader.unlink()
    assert "It was removed since it was read" in (await admin.get("/policies/reader")).text


async def test_a_reload_that_was_refused_is_named_with_its_faults(visits: Visits) -> None:
    class Refused:
        standing = ReloadStanding(
            in_force_since=NOW, refused_at=NOW, faults=("reader.yaml:5:1: `<script>alert(1)</script>`",)
        )

        async def run(self, trigger: str, by: Actor | None = None) -> ReloadResult:
            raise AssertionError("a page reloads nothing")

    auditor = await visits.of("auditor")
    assert "reload was refused" not in (await auditor.get("/policies")).text
    visits.use(reload=Refused())
    page = (await (await visits.of("auditor")).get("/policies")).text
    assert "The last reload was refused" in page
    assert "reader.yaml:5:1: `&lt;script&gt;" in page
    visits.use(reload=None)
    page = (await (await visits.of("auditor")).get("/policies")).text
    assert "Since when they are in force is not known now" in page
    assert "reader" in page


async def test_a_statement_is_explained_with_caret_and_grounds(visits: Visits) -> None:
    visits.use(catalogs=lambda _connection: CATALOG)
    admin = await visits.of("admin")
    page = await admin.post("/policies/reader/explain", {"sql": "SELECT 1;\r\n  SELECT * FROM salaries"})
    assert page.status_code == 200
    assert "relation `public.salaries` is denied by this policy" in page.text
    assert "at line 2, column 17" in page.text
    assert '<span class="line-number">LINE 2: </span>  SELECT * FROM <mark>s</mark>alaries' in page.text
    assert '<a href="#L10">reader.yaml:10</a> <code>- relations: [public.salaries]   # pay</code>' in page.text
    assert "Names were resolved with the catalog as last read" in page.text
    allowed = (await admin.post("/policies/reader/explain", {"sql": "SELECT count(*) FROM orders"})).text
    assert "relation public.orders (read)" in allowed


async def test_without_a_catalog_the_explanation_says_so(visits: Visits) -> None:
    page = (await (await visits.of("admin")).post("/policies/reader/explain", {"sql": "SELECT 1"})).text
    assert "No session has needed the catalog of this connection" in page


@pytest.mark.parametrize(
    "sql",
    [HOSTILE, "", "   ", "SELECT 'a\x00\x1b[2J\x7f'", "\n" * 100, "SELECT " + "x" * 20_000, "(" * 3000, "💥\u2028"],
    ids=["html", "empty", "blank", "control", "lines", "long", "deep", "separator"],
)
async def test_any_statement_is_shown_as_text(sql: str, visits: Visits) -> None:
    page = await (await visits.of("admin")).post("/policies/reader/explain", {"sql": sql})
    assert page.status_code == 200
    assert 'id="answer"' in page.text
    assert "<script>alert" not in page.text
    answer = page.text.partition('id="answer"')[2].partition("</section>")[0]
    for hidden in "\u202e\u200b\u2028\x00\x1b\x7f":
        assert hidden not in answer
    assert page.text.count("</textarea>") == 1


@pytest.mark.parametrize(
    ("form", "said"),
    [({}, "sent once"), ({"sql": "x" * 50_001}, "at most 50000"), ({"other": "x"}, "sent once")],
)
async def test_fields_that_are_no_statement_are_refused(form: dict[str, str], said: str, visits: Visits) -> None:
    page = await (await visits.of("admin")).post("/policies/reader/explain", form)
    assert (page.status_code, said in page.text) == (400, True)
    assert not any(each[3].endswith("/explain") for each in visits.calls())


async def test_a_statement_is_not_tried_for_another_site(visits: Visits) -> None:
    admin = await visits.of("admin")
    page = await admin.post("/policies/reader/explain", {"csrf": "forged", "sql": "SELECT 1"})
    assert page.status_code == 403
    page = await admin.post("/policies/reader/explain", {"sql": "SELECT 1"}, headers={"sec-fetch-site": "cross-site"})
    assert page.status_code == 403
    assert not any(each[3].endswith("/explain") for each in visits.calls())


@pytest.mark.parametrize(
    "name", ["none", "%2e%2e%2freader", "reader%00", "%3Cscript%3Ealert(1)%3C%2Fscript%3E", "x" * 129]
)
async def test_a_policy_that_is_not_in_force_has_no_page(name: str, visits: Visits) -> None:
    admin = await visits.of("admin")
    for path in (f"/policies/{name}", f"/policies/{name}/tests"):
        page = await admin.get(path)
        assert page.status_code in (404, 422), page.text
        assert "<script>alert" not in page.text


async def test_the_tests_and_what_they_leave_out(visits: Visits, folder: Folder) -> None:
    auditor = await visits.of("auditor")
    page = (await auditor.get("/policies/reader/tests")).text
    assert "4 tests ran now, 0 failed" in page
    assert '<a href="/policies/reader#L10">reader.yaml:10</a>' in page
    (folder.path / "reader_test.yaml").write_text("policy: reader\ntests:\n  - {sql: SELECT 1, expect: deny}\n")
    page = (await auditor.get("/policies/reader/tests")).text
    assert "1 test ran now, 1 failed" in page
    (folder.path / "reader_test.yaml").write_text("tests: <script>alert(1)</script>")
    page = (await auditor.get("/policies/reader/tests")).text
    assert "Files of tests cannot be used" in page
    assert "<script>alert" not in page


async def test_a_store_that_is_away_leaves_the_rest_of_the_page(
    visits: Visits, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(*_arguments: object) -> None:
        raise ServerUnavailable("window store cannot be used", reference="store-unavailable", hint="Try later.")

    auditor = await visits.of("auditor")
    monkeypatch.setattr(visits.store, "windows", away)
    page = await auditor.get("/policies/reader")
    assert page.status_code == 200
    assert "Which windows are open is not known now" in page.text
    assert "None that you may see" not in page.text
    assert "public.salaries" in page.text


async def test_a_journal_that_is_away_shows_no_file(visits: Visits) -> None:
    auditor = await visits.of("auditor")
    visits.break_journal()
    page = await auditor.get("/policies/reader")
    assert page.status_code == 503
    assert "public.salaries" not in page.text


async def test_an_explanation_that_cannot_be_made_is_said_beside_the_form(visits: Visits) -> None:
    visits.use(explainer=None)
    page = await (await visits.of("admin")).post("/policies/reader/explain", {"sql": "SELECT 1"})
    assert page.status_code == 503
    assert "The explanation is not known now" in page.text
    assert "SELECT 1" in page.text


@pytest.mark.parametrize("path", ["/policies", "/policies/reader", "/policies/reader/tests", "/health"])
async def test_a_requester_is_told_which_role_opens_the_page(path: str, visits: Visits, folder: Folder) -> None:
    visits.provider.people["member"] = visits.provider.people["requester"]
    page = await (await visits.of("member")).get(path)
    assert page.status_code == 403
    assert "requires the role" in page.text
