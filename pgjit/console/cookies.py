"""The cookies of the console: their names, and the attributes that all of them have.

The prefix `__Host-` makes the browser refuse a cookie that is not Secure, is for other hosts or for some paths only:
nobody but this host can set one.
"""

from __future__ import annotations

from typing import Final, Literal

from fastapi import Request, Response

__all__ = ["FLOW", "NOTICE", "SIGN_IN", "cookie", "set_cookie"]

SIGN_IN: Final = "__Host-pgjit"
FLOW: Final = "__Host-pgjit-flow"
"""The cookie of a sign-in that is under way at the provider."""
NOTICE: Final = "__Host-pgjit-notice"
"""What the next page shows, once."""
_BLANKS: Final = " \t"
_SAME_SITE: Final[dict[str, Literal["lax", "strict"]]] = {SIGN_IN: "lax", FLOW: "lax", NOTICE: "strict"}
"""`lax` where a link from elsewhere must find it: a link in a message, and the way back from the provider."""


def cookie(request: Request, name: str) -> str | None:
    """The value; None if the request has none, or has it twice: then one of the two is not ours.

    Only the blanks of RFC 6265 are no part of a name. A browser lets a sibling host set the name after another blank
    (U+00A0, U+0085), because that name does not begin with the prefix: it is not the name of our cookie.
    """
    found = [
        value.strip(_BLANKS)
        for header in request.headers.getlist("cookie")
        for key, separator, value in (part.partition("=") for part in header.split(";"))
        if separator and key.strip(_BLANKS) == name
    ]
    return found[0] if len(found) == 1 else None


def set_cookie(response: Response, name: str, value: str, *, seconds: int | None) -> None:
    """`seconds`: for which the browser keeps it; 0 deletes it, None: until the browser is closed."""
    response.set_cookie(name, value, max_age=seconds, path="/", secure=True, httponly=True, samesite=_SAME_SITE[name])
