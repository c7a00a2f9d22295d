"""The pages: a module for each, and the table of them in the order of the navigation.

A page decides what of the HTTP API it shows, and which call of the API each of its forms makes. Each module has
`router = APIRouter()`, and its templates in `templates/`.

Who may open a page is in the table. For a person with none of its roles no code of the page runs: the person reads
which groups would give one. The same holds for a POST without the CSRF token of the sign-in.

Signing in and out is `sign_in.py`, which is not in the table: it is for those who are not signed in.
"""

from __future__ import annotations

from pgjit.api.caller import CallerRole
from pgjit.console.page_entry import ANY_ROLE, PageEntry
from pgjit.console.pages import (
    access,
    audit,
    audit_searches,
    audit_sql,
    health,
    inbox,
    live,
    policies,
    proof,
    record_proof,
    replay,
    reports,
    windows,
)

__all__ = ["PAGES"]

_READS_ALL = (CallerRole.AUDITOR, CallerRole.ADMIN)
_WATCHERS = (CallerRole.REVIEWER, *_READS_ALL)

PAGES: tuple[PageEntry, ...] = (
    PageEntry(title="Requests", path="/requests", roles=ANY_ROLE, router=inbox.router),
    PageEntry(title="Live", path="/live", roles=ANY_ROLE, router=live.router),
    PageEntry(title="Windows", path="/windows", roles=ANY_ROLE, router=windows.router),
    PageEntry(title=None, path="/sessions", roles=_READS_ALL, router=replay.router),
    PageEntry(title="Audit", path="/audit", roles=_READS_ALL, router=audit.router),
    PageEntry(title=None, path="/audit", roles=_READS_ALL, router=audit_searches.router),  # forms of that page
    PageEntry(title=None, path="/audit/sql", roles=_READS_ALL, router=audit_sql.router),
    PageEntry(title="Access", path="/access", roles=ANY_ROLE, router=access.router),
    PageEntry(title="Policies", path="/policies", roles=_WATCHERS, router=policies.router),
    PageEntry(title="Proof", path="/proof", roles=_READS_ALL, router=proof.router),
    PageEntry(title=None, path="/proof", roles=_READS_ALL, router=record_proof.router),
    PageEntry(title="Reports", path="/reports", roles=_READS_ALL, router=reports.router),
    PageEntry(title="Health", path="/health", roles=_WATCHERS, router=health.router),
)
