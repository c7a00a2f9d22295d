"""Open pages of the console: people who are signed in, each with some live pages that follow the events.

The browsers are a process of their own, so that nothing they use is counted as pgjit's. This file decides how many
people there are, what pgjit and the emulator have to know of them, and when a page counts as open.

    python -m tests.bench.pages CONSOLE AUTHORITY NUMBER

signs the people in, and answers `signed in`. Then it follows orders, one a line: `open` opens NUMBER pages, `close`
closes them. Each is answered with how many states of the sessions the pages had since the last order.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx

from tests.run.processes import own

__all__ = ["PEOPLE_AUDIENCE", "OpenPages", "SignedIn", "api_section", "principals", "sign_in"]

PEOPLE_AUDIENCE = "5a1f0c3e-6b7d-4e2a-8c9f-1d2e3f4a5b6c"
"""What the tokens of people are issued for."""
_CLIENT, _SECRET = "6b2e1d4f-7c8a-4f3b-9d0e-2e3f4a5b6c7d", "s3cret-of-the-console"
_AUDITORS = "3b9ad1c5-7d55-4a0e-9a51-0f5a9c1d2e01"
_PAGES_EACH = 4
"""pgjit has no more streams of events for one person."""
_PEOPLE = 40
_SECONDS = 120


def principals(console: str) -> list[dict[str, object]]:
    """What the emulator has to know: the console's registration, and people who may read everything."""
    registration: dict[str, object] = {
        "name": "console", "client_id": _CLIENT, "secret": _SECRET, "redirect_uris": [f"{console}/signed-in"],
    }  # fmt: skip
    people: list[dict[str, object]] = [
        {"name": f"Auditor {number}", "kind": "user", "oid": _oid(number), "groups": [_AUDITORS]}
        for number in range(_PEOPLE)
    ]
    return [registration, *people]


def api_section(console: str, folder: Path) -> dict[str, object]:
    """The configuration of pgjit's API and console. The client secret is written to a file of `folder`."""
    secret = folder / "console-secret"
    secret.touch(mode=0o600)
    secret.write_text(_SECRET)
    return {
        "listen": {"port": int(console.rpartition(":")[2])},
        "audience": PEOPLE_AUDIENCE,
        "roles": {"auditor": [_AUDITORS]},
        "console": {"url": console, "client_id": _CLIENT, "client_secret": {"file": str(secret)}},
    }


def _oid(number: int) -> str:
    return str(uuid.uuid5(uuid.UUID(_AUDITORS), str(number)))


# --- for the measure ---------------------------------------------------------------------------------------------


@dataclass
class OpenPages:
    states_per_second: float = 0.0
    """how many states of the sessions all pages together had; known when they are closed"""


class SignedIn:
    """People who are signed in, by the process of their browsers."""

    def __init__(self, process: subprocess.Popen[str], log: Path) -> None:
        self._process = process
        self._log = log
        self._answer()

    @contextlib.contextmanager
    def opened(self) -> Iterator[OpenPages]:
        """All pages are open while the block lasts, and each has had a first state of the sessions."""
        pages = OpenPages()
        self._order("open")
        begun = time.monotonic()
        yield pages
        states = int(self._order("close"))
        pages.states_per_second = states / (time.monotonic() - begun)

    def _order(self, order: str) -> str:
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # it ended: then it does not answer
            print(order, file=self._process.stdin, flush=True)
        return self._answer()

    def _answer(self) -> str:
        assert self._process.stdout is not None
        if not (line := self._process.stdout.readline()):
            raise SystemExit(f"bench: the pages of the console did not stay open: {self._log.read_text()[-2000:]}")
        return line


@contextlib.contextmanager
def sign_in(console: str, authority: Path, number: int, log: Path) -> Iterator[SignedIn]:
    """People for `number` pages. `authority`: the file of the certificate with which pgjit's was signed."""
    command = (sys.executable, "-m", "tests.bench.pages", console, authority, str(number))
    with log.open("w") as errors, own(*command, stdin=subprocess.PIPE, stderr=errors.fileno()) as process:
        yield SignedIn(process, log)


# --- the process of the browsers ---------------------------------------------------------------------------------


class _Browsers:
    def __init__(self, console: str, authority: str, number: int) -> None:
        tls = ssl.create_default_context(cafile=authority)
        self._pages_of = [
            # Each person is at a machine of their own: of one address pgjit takes 64 connections.
            (_browser(console, tls, f"127.0.1.{person + 1}"), min(_PAGES_EACH, number - person * _PAGES_EACH))
            for person in range(-(-number // _PAGES_EACH))
        ]
        self._following: list[asyncio.Task[None]] = []
        self._begun = asyncio.Semaphore(0)
        self._states = 0

    async def sign_in(self) -> None:
        for person, (browser, _) in enumerate(self._pages_of):
            started = await browser.get("/sign-in/start", params={"to": ""})
            chosen = await browser.post(started.headers["location"], data={"user": _oid(person)})
            done = await browser.get(chosen.headers["location"])
            if done.status_code != 303:
                sys.exit(f"a person cannot sign in: {done.status_code} {done.text[-1000:]}")

    async def open(self) -> None:
        self._following = [
            asyncio.create_task(self._follow(browser)) for browser, pages in self._pages_of for _ in range(pages)
        ]
        async with asyncio.timeout(_SECONDS):
            for _ in self._following:
                await self._begun.acquire()
        self._check()

    async def close(self) -> None:
        self._check()
        for each in self._following:
            each.cancel()
        await asyncio.gather(*self._following, return_exceptions=True)

    def taken_states(self) -> int:
        states, self._states = self._states, 0
        return states

    async def _follow(self, browser: httpx.AsyncClient) -> None:
        begun = False
        try:
            async with browser.stream("GET", "/events", params={"sessions": "true"}) as response:
                response.raise_for_status()
                async for line in response.aiter_lines():
                    if line == "event: live":
                        self._states += 1
                        if not begun:
                            begun = True
                            self._begun.release()
        finally:
            if not begun:
                self._begun.release()  # whoever waits for the page finds that it has failed

    def _check(self) -> None:
        ended = [each for each in self._following if each.done()]
        if ended:
            sys.exit(f"{len(ended)} pages are not open, the first one of them: {ended[0]!r}")


def _browser(console: str, tls: ssl.SSLContext, address: str) -> httpx.AsyncClient:
    # No connection is used twice: pgjit closes one that is idle, which may be just when the next request goes out.
    unkept = httpx.Limits(max_keepalive_connections=0)
    transport = httpx.AsyncHTTPTransport(verify=tls, trust_env=False, local_address=address, limits=unkept)
    return httpx.AsyncClient(base_url=console, transport=transport, timeout=_SECONDS)


async def _main(console: str, authority: str, number: str) -> None:
    browsers = _Browsers(console, authority, int(number))
    await browsers.sign_in()
    print("signed in", flush=True)
    while order := await asyncio.to_thread(sys.stdin.readline):
        await (browsers.open() if order == "open\n" else browsers.close())
        print(browsers.taken_states(), flush=True)


if __name__ == "__main__":
    asyncio.run(_main(*sys.argv[1:]))
