"""Looks every few seconds whether a file of the configuration has changed, and reloads it.

Decides when files are complete: they have to be the same in two looks, one after the other. A link that is set to
another folder, as Kubernetes does with mounted configuration, is a change like any other. Files that were refused are
tried again when they change, and now and then: the file that they lack may not be among those that are watched.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path

from pgjit.config import Config
from pgjit.server.credential import FromFile

__all__ = ["FileWatch", "watched_files"]

_log = logging.getLogger("pgjit.reload")
_RETRY_LOOKS = 12


def watched_files(config: Config) -> list[Path]:
    """The configuration, the policies, and every file with a certificate or a secret that a reload takes up."""
    file = config.file
    paths = [config.path(file.tls.certificate), config.path(file.tls.key)]
    if config.source is not None:
        paths.append(config.source)
    if file.api is not None and file.api.tls is not None:
        paths += [config.path(file.api.tls.certificate), config.path(file.api.tls.key)]
    for target in config.targets.values():
        paths += target.certificate_files
        paths += [login.path for login in target.credentials if isinstance(login, FromFile)]
    return [*paths, *sorted(config.path(file.policies).glob("*.yaml"))]


class FileWatch:
    """`step` is one look at the files."""

    def __init__(self, config: Callable[[], Config], reload: Callable[[], Awaitable[bool]]) -> None:
        """`config`: the one in force. `reload` returns whether the files are in force now."""
        self._config = config
        self._reload = reload
        self._known: dict[Path, tuple[tuple[int, ...], bytes]] = {}  # what each file was, and a digest of its bytes
        self._seen = ""  # the digest of all files at the last look
        self._tried = ""  # the digest with which they were last reloaded
        self._looks_until_retry = 0  # 0: the last reload succeeded

    async def watch(self) -> None:
        """Runs until it is cancelled."""
        while True:
            section = self._config().file.reload
            await asyncio.sleep(section.every)
            if not section.watch:
                continue
            try:
                await self.step()
            except Exception:  # noqa: BLE001 - INVARIANT: the watch goes on, whatever fails in a look
                _log.exception("the files of the configuration could not be watched")

    async def step(self) -> None:
        digest = await asyncio.to_thread(self._digest, watched_files(self._config()))
        settled, self._seen = digest == self._seen, digest
        self._looks_until_retry -= 1
        if settled and (digest != self._tried or self._looks_until_retry == 0):
            self._tried = digest
            self._looks_until_retry = 0 if await self._reload() else _RETRY_LOOKS

    def _digest(self, paths: Iterable[Path]) -> str:
        known, self._known = self._known, {}
        whole = hashlib.sha256()
        for path in paths:
            state, content = self._known[path] = _look(path, known.get(path))
            whole.update(repr((str(path), content, not state)).encode())
        return whole.hexdigest()


def _look(path: Path, known: tuple[tuple[int, ...], bytes] | None) -> tuple[tuple[int, ...], bytes]:
    """The state of the file, which tells whether it may have changed, and a digest of its bytes."""
    try:
        found = path.stat()  # of the file that a link leads to
        state = found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns
        if known is not None and known[0] == state:
            return known
        return state, hashlib.sha256(path.read_bytes()).digest()
    except OSError:
        return (), b""
