"""One request of a signed-in person: who it is, the API as this person may use it, and what is sent back.

Decides who may open a page, and checks the CSRF token of every call that is not a GET. Pages are written against
`ThePage`, `TheForm` and `TheLivePage`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Final

from fastapi import Depends, Request
from fastapi.responses import HTMLResponse, RedirectResponse, StreamingResponse

from pgjit.api.caller import Caller, CallerRole, is_person
from pgjit.api.gate import connection_of, read_body
from pgjit.api.refusals import BearerRefused
from pgjit.console.api_client import ApiStream, ConsoleApi
from pgjit.console.cookie_secret import base64url, same, unbase64url
from pgjit.console.cookies import NOTICE, cookie, set_cookie
from pgjit.console.form import PageForm, read_form
from pgjit.console.page_entry import PageEntry
from pgjit.console.refusals import CrossSiteCall, NotSignedIn, PageNotOpen
from pgjit.console.services import ConsoleServices, address_of, services_of
from pgjit.console.sign_ins import SignedIn
from pgjit.identity.identity import IdentityKey

__all__ = ["ConsolePage", "Person", "TheForm", "TheLivePage", "ThePage", "guard", "page_of"]

CSRF_FIELD: Final = "csrf"
LIVE_HEADER: Final = "x-pgjit-live"
"""With it an open page reads itself again, to show what has changed: nobody has used it."""
CSRF_HEADER: Final = "x-pgjit-csrf"
_SAFE: Final = frozenset({"GET", "HEAD"})
_MOST_NOTICE: Final = 500


@dataclass(frozen=True, slots=True)
class Person:
    """Who is signed in. `display` is for people to read, and its owner chose it."""

    display: str
    key: IdentityKey
    roles: frozenset[CallerRole]

    @property
    def identity(self) -> str:
        """`TENANT/OBJECT`."""
        return self.key.text

    def is_identity(self, identity: Mapping[str, Any]) -> bool:
        """Whether it is the person: `identity` as the API has it."""
        return f"{identity['tid']}/{identity['oid']}" == self.identity

    def has(self, *roles: CallerRole) -> bool:
        """Whether the person has one of `roles`."""
        return not self.roles.isdisjoint(roles)


class ConsolePage:
    """`api`: the HTTP API as this person may use it. `csrf`: the token that the page's forms carry."""

    def __init__(self, request: Request, services: ConsoleServices, signed_in: SignedIn, caller: Caller) -> None:
        self.request = request
        self.signed_in = signed_in
        self.caller = caller
        self.person = Person(caller.identity.display, caller.key, caller.roles)
        client = request.client
        self.api = ConsoleApi(
            services.api, signed_in.access_token, None if client is None else (client.host, client.port)
        )
        self._services = services
        # Before the page reads anything: its stream of events begins here, and so misses nothing.
        self._followed_from = services.api_services.feed.latest_id

    @property
    def now(self) -> datetime:
        """The proxy's clock, in UTC."""
        return self._services.clock()

    @property
    def csrf(self) -> str:
        return self.signed_in.secret.csrf

    def show(self, template: str, /, *, status: int = 200, **values: Any) -> HTMLResponse:
        """`templates/<template>`. It also gets `person`, `roles`, `csrf`, `path`, `nav`, `now` and `notice`."""
        notice = self._notice()
        text = self._services.templates.render(
            template,
            **self.standing_values,
            notice=notice,
            **values,
        )
        response = HTMLResponse(text, status)
        if cookie(self.request, NOTICE) is not None:
            set_cookie(response, NOTICE, "", seconds=0)
        return response

    @property
    def standing_values(self) -> Mapping[str, Any]:
        """What every template gets."""
        return {
            "person": self.person,
            "roles": frozenset(role.value for role in self.person.roles),
            "csrf": self.csrf,
            "path": self.request.url.path,
            "nav": self.open_pages,
            "now": self.now,
            "followed_from": self._followed_from,
        }

    def to(self, path: str, notice: str = "") -> RedirectResponse:
        """After a form: the browser opens `path`, a path of this console. `notice` is shown there, once."""
        if not path.startswith("/") or path.startswith(("//", "/\\")):
            raise ValueError("a redirect goes to a path of this console")
        response = RedirectResponse(path, 303)
        if notice:
            text = base64url(notice[:_MOST_NOTICE].encode())
            set_cookie(response, NOTICE, f"{text}.{self.signed_in.secret.sign(text)}", seconds=60)
        return response

    def file(self, stream: ApiStream) -> StreamingResponse:
        """A file of the API, under the name that it has there, sent while the API writes it."""
        headers = {"content-disposition": stream.headers["content-disposition"]}
        return StreamingResponse(aiter(stream), media_type=stream.media_type, headers=headers)

    @property
    def open_pages(self) -> list[PageEntry]:
        """The pages of the navigation that this person may open."""
        return [each for each in self._services.entries if each.title is not None and self.person.has(*each.roles)]

    @property
    def givers(self) -> list[tuple[str, list[str]]]:
        """Each role with the groups that give it, as people know them."""
        return [(role.value, self._services.roles.givers([role])) for role in CallerRole]

    def require(self, *roles: CallerRole) -> None:
        """Raises PageNotOpen, which names the groups that give one of `roles`."""
        if not self.person.has(*roles):
            names = [role.value for role in CallerRole if role in roles]
            raise PageNotOpen(names, self._services.roles.givers(roles))

    async def still_signed_in(self) -> bool:
        """Whether the sign-in holds; for a response that is long under way. Does not count as use."""
        try:
            await self._services.sign_ins.find(self.signed_in.secret)
        except NotSignedIn:
            return False
        return True

    def _notice(self) -> str | None:
        text, _, signature = (cookie(self.request, NOTICE) or "").partition(".")
        if not text or not same(signature, self.signed_in.secret.sign(text)):
            return None
        return unbase64url(text).decode()


async def page_of(request: Request) -> ConsolePage:
    """Raises NotSignedIn, PgjitError. Does not count as use of the sign-in."""
    services = services_of(request)
    signed_in = await services.sign_ins.find_in(request)
    try:
        # Neither fresh nor counted towards the caller's rate: the calls that the page makes are.
        source = address_of(request)
        caller = await services.admission.of_token(signed_in.access_token, source, fresh=False, counted=False)
    except BearerRefused:
        await services.sign_ins.end(signed_in.secret)
        raise NotSignedIn(was=True) from None
    if not is_person(caller.identity):
        await services.sign_ins.end(signed_in.secret)
        raise NotSignedIn(was=True)
    if (connection := connection_of(request.scope)) is not None:
        connection.accepted = True
    page = request.state.page = ConsolePage(request, services, signed_in, caller)
    return page


TheLivePage = Annotated[ConsolePage, Depends(page_of)]
"""As `ThePage`, for what a page fetches by itself: no use of the sign-in, so an open page still has an idle end."""


async def _used_page(request: Request, page: TheLivePage) -> ConsolePage:
    if request.headers.get(LIVE_HEADER) is None:
        await services_of(request).sign_ins.note_use(page.signed_in)
    return page


ThePage = Annotated[ConsolePage, Depends(_used_page)]


async def _form(request: Request, page: TheLivePage) -> PageForm:
    """Raises FormRefused and CrossSiteCall."""
    if (form := getattr(request.state, "form", None)) is None:
        body = await read_body(request.scope, request.receive)
        form = read_form(request.headers.get("content-type", ""), body)
        given = request.headers.get(CSRF_HEADER) or next(iter(form.values(CSRF_FIELD)), "")
        if not same(given, page.csrf):
            raise CrossSiteCall("The form has no token of your sign-in, or that of an earlier one.")
        request.state.form = form
    assert isinstance(form, PageForm)
    return form


TheForm = Annotated[PageForm, Depends(_form)]


def guard(entry: PageEntry) -> Callable[..., Awaitable[None]]:
    """A dependency that runs before every path of a page, whatever the page itself requests.

    INVARIANT: no code of a page runs for a person without one of its roles, nor for a call that is not a GET and has
    no CSRF token.
    """

    async def guarded(request: Request, page: TheLivePage) -> None:
        page.require(*entry.roles)
        if request.method not in _SAFE:
            await _form(request, page)

    return guarded
