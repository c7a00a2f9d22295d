"""Tries the journal's folder and its archive: a small file is written, read back, compared and deleted.

Decides what is a fault, and what is only worth a warning: an archive may well refuse that something is deleted.
Everything has a limit of time. What was written has a name that nothing else has; nothing else is touched.
"""

from __future__ import annotations

import errno
import os
import secrets
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pgjit.audit.keeping.archive import make_folder
from pgjit.audit.keeping.disk_space import free_bytes
from pgjit.audit.segments.store_folder import store_fault

__all__ = ["ProbeResult", "try_archive", "try_folder"]

_SECONDS = 30.0
_CONTENT = b"pgjit wrote this to find out whether it may. It can be deleted.\n"
_MEANING = {
    errno.EACCES: "this user may not write there",
    errno.EPERM: "this user may not write there",
    errno.EROFS: "its file system is read-only",
    errno.ENOSPC: "its disk is full",
    errno.EDQUOT: "its quota is used up",
    errno.ENOTDIR: "it is not a folder",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeResult:
    """`fault` is None if the place can be used; then `warning` may have what people should know."""

    what: str
    place: str
    fault: str | None = None
    warning: str | None = None
    hint: str | None = None


class _Failed(Exception):
    """A step failed; the text says which, and why."""


def try_folder(folder: Path, warn_bytes: int) -> ProbeResult:
    """`warn_bytes`: the free space below which pgjit raises its alarm. Blocks."""
    what, tried = "journal folder", folder
    if not folder.exists():
        tried = folder.parent  # pgjit makes the folder, and none above it
    try:
        if not tried.is_dir():
            missing = "its parent is missing" if tried != folder else "it is not a folder"
            return ProbeResult(what=what, place=str(folder), fault=missing, hint=f"Make the folder {folder}.")
        _write_and_delete(tried / _name())
        free = free_bytes(tried)
    except OSError as error:
        fault = _MEANING.get(error.errno or 0) or error.strerror or str(error)
        hint = "Run this as the user that runs `pgjit serve`; the folder must be that user's, with mode 0700."
        return ProbeResult(what=what, place=str(folder), fault=fault, hint=hint)
    except _Failed as failed:
        return ProbeResult(what=what, place=str(folder), fault=str(failed))
    warnings = []
    if tried != folder:
        warnings.append("it is missing, and pgjit makes it at its first start")
    if free < warn_bytes:
        warnings.append(f"its disk has {free:,} bytes left, and the alarm is at {warn_bytes:,}")
    return ProbeResult(what=what, place=str(folder), warning="; ".join(warnings) or None)


def try_archive(url: str, origin: str | None = None, seconds: float = _SECONDS) -> ProbeResult:
    """`origin`: of the journal, below which its copies are. Blocks for `seconds` at most."""
    results: list[ProbeResult] = []
    # A store's library may wait for as long as it likes: the thread ends with the process.
    thread = threading.Thread(target=lambda: results.append(_try_store(url, origin)), daemon=True)
    thread.start()
    thread.join(seconds)
    if results:
        return results[0]
    return ProbeResult(
        what="archive", place=url, fault=f"it did not answer within {seconds:g} s",
        hint="Check its address, and that this machine may connect to it.",
    )  # fmt: skip


def _try_store(url: str, origin: str | None) -> ProbeResult:
    import fsspec  # here: it takes long to import, and many have no archive

    hint = "Its credentials come from where its library looks for them; pgjit needs to list, read and write there."
    try:
        store, root = _step("opened", lambda: fsspec.core.url_to_fs(url))
        folder = "/".join([str(root).rstrip("/"), *([] if origin is None else [origin])])
        name = f"{folder}/{_name()}"
        _step("written to", lambda: _put(store, folder, name))
        content = _step("read", lambda: store.cat_file(name))
        _step("listed", lambda: store.ls(folder, detail=False))
    except _Failed as failed:
        return ProbeResult(what="archive", place=url, fault=str(failed), hint=hint)
    warning = None
    try:
        store.rm_file(name)
    except Exception as error:  # noqa: BLE001 - the same
        warning = f"nothing can be deleted there ({store_fault(error)}): {name} stays"
    if content != _CONTENT:
        return ProbeResult(what="archive", place=url, fault="what was read back is not what was written", hint=hint)
    return ProbeResult(what="archive", place=url, warning=warning)


def _put(store: Any, folder: str, name: str) -> None:
    make_folder(store, folder)
    store.pipe_file(name, _CONTENT)


def _step(done: str, run: Callable[[], Any]) -> Any:
    try:
        return run()
    except Exception as error:  # noqa: BLE001 - each store's library has errors of its own
        raise _Failed(f"it cannot be {done}: {store_fault(error)}") from None


def _write_and_delete(path: Path) -> None:
    """Raises OSError and _Failed."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        os.write(descriptor, _CONTENT)
        os.fsync(descriptor)
        if os.pread(descriptor, len(_CONTENT) + 1, 0) != _CONTENT:
            raise _Failed("what was read back is not what was written")
    finally:
        os.close(descriptor)
        with suppress(FileNotFoundError):
            path.unlink()


def _name() -> str:
    return f"pgjit-probe-{secrets.token_hex(8)}"
