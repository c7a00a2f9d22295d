"""What the console itself refuses. What the API refuses is an `ConsoleApiProblem`, with the API's own words.

Decides the wording and the HTTP status.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pgjit.api.refusals import CallRefused
from pgjit.console.field_labels import FIELD_LABELS

__all__ = [
    "ConsoleApiProblem",
    "CrossSiteCall",
    "FieldFault",
    "FormRefused",
    "NoSuchPage",
    "NotSignedIn",
    "PageNotOpen",
    "SignInRefused",
]


class ConsoleApiProblem(Exception):
    """The HTTP API refused a call: its problem document (RFC 9457)."""

    def __init__(self, status: int, problem: dict[str, Any], retry_after: int | None = None) -> None:
        """`retry_after`: seconds after which the same call may succeed."""
        super().__init__(f"{status} {problem.get('reference', '')}")
        self.status = status
        self.problem = problem
        self.retry_after = retry_after

    @property
    def reference(self) -> str:
        """The stable name of the error, in kebab-case."""
        return str(self.problem.get("reference", "internal-error"))

    @property
    def title(self) -> str:
        return str(self.problem.get("title", "call failed"))

    @property
    def detail(self) -> str | None:
        detail = self.problem.get("detail")
        return None if detail is None else str(detail)

    @property
    def hint(self) -> str | None:
        hint = self.problem.get("hint")
        return None if hint is None else str(hint)


class NotSignedIn(CallRefused):
    """There is no sign-in, or it is over. `was`: the cookie stood for one."""

    def __init__(self, *, was: bool = False) -> None:
        super().__init__(
            "your sign-in is over" if was else "you are not signed in",
            reference="sign-in-needed",
            status=401,
            detail="A sign-in ends after some time without use, at its latest end, and when you sign out.",
            hint="Sign in again. What you had typed was not carried out.",
        )
        self.was = was


class CrossSiteCall(CallRefused):
    """The call would change something, and was not made by a page of this console."""

    def __init__(self, detail: str) -> None:
        super().__init__(
            "call did not come from a page of this console",
            reference="cross-site-call",
            status=403,
            detail=detail,
            hint="Open the page in this console and use its form. Nothing was changed.",
        )


class FormRefused(CallRefused):
    """The body of a call is no form that can be read."""

    sqlstate = "22023"

    def __init__(self, detail: str, *, status: int = 400) -> None:
        super().__init__(
            "form cannot be read", reference="form-invalid", status=status, detail=detail, hint="Nothing was changed."
        )


class FieldFault(CallRefused):
    """A field of a form has a value that is not accepted."""

    sqlstate = "22023"

    def __init__(self, name: str, detail: str, *, label: str | None = None) -> None:
        """`detail`: a sentence with what is accepted. It does not repeat the value. `label`: as the page has it."""
        label = label or FIELD_LABELS.get(name)
        super().__init__(
            f"field `{name}` is not accepted" if label is None else f"field “{label}” is not accepted",
            reference="field-invalid",
            status=400,
            detail=detail,
            hint="Go back and correct it. Nothing was changed.",
        )
        self.name = name


class NoSuchPage(CallRefused):
    """No page has this path."""

    def __init__(self) -> None:
        super().__init__(
            "there is no such page",
            reference="page-unknown",
            status=404,
            hint="The navigation lists the pages that are open to you.",
        )


class PageNotOpen(CallRefused):
    """The person has none of the roles for which a page is."""

    def __init__(self, roles: Sequence[str], groups: Sequence[str]) -> None:
        """`groups`: those that give one of `roles`, as people know them."""
        needed = " or ".join(f"`{role}`" for role in roles)
        given = ", ".join(groups) if groups else "no group: `api.roles` names none"
        super().__init__(
            "page is not open to you",
            reference="page-not-open",
            status=403,
            detail=f"It requires the role {needed}, which is given by: {given}.",
            hint="Ask to join one of these groups, then open the page again: memberships are looked up anew.",
        )


class SignInRefused(CallRefused):
    """A sign-in that did not come about."""

    def __init__(self, detail: str, *, hint: str, status: int = 403, reference: str = "sign-in-refused") -> None:
        super().__init__("sign-in was refused", reference=reference, status=status, detail=detail, hint=hint)
