"""The pages: a module for each, and the table of them in the order of the navigation.

A page decides what of the HTTP API it shows, and which call of the API each of its forms makes. Each module has
`router = APIRouter()`, and its templates in `templates/`.

Who may open a page is in the table. For a person with none of its roles no code of the page runs: the person reads
which groups would give one. The same holds for a POST without the CSRF token of the sign-in.

Signing in and out is `sign_in.py`, which is not in the table: it is for those who are not signed in.
"""

from __future__ import annotations

from pgjit.console.page_entry import PageEntry

__all__ = ["PAGES"]

PAGES: tuple[PageEntry, ...] = ()
