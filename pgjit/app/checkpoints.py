"""Signs the journal while it is written: makes signer, receivers and witnesses from the configuration, and runs them.

Decides where the key is if none is configured, and in which order the parts are stopped: the last checkpoint is
signed after the last record, and is sent before the receivers are closed.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import datetime
from importlib.metadata import version
from pathlib import Path

import httpx

from pgjit.audit.journal import Journal
from pgjit.audit.proof.checkpoint_log import newest_checkpoint
from pgjit.audit.proof.checkpointer import Checkpointer, CheckpointPace
from pgjit.audit.proof.journal_files import JournalFiles
from pgjit.audit.proof.key_file import KeyUnusable, default_key_path, new_private_key, private_key, verifier_key
from pgjit.audit.proof.note import NoteRejected, VerifierKey
from pgjit.audit.proof.section import CheckpointSection, ReceiverSection
from pgjit.audit.proof.sending import CheckpointSender, FolderSender, Outbox, StdoutSender, WebhookSender
from pgjit.audit.proof.signer import CheckpointSigner, CommandSigner, FileSigner
from pgjit.audit.proof.stored_tree import StoredTree
from pgjit.audit.proof.tree import consistency_proof
from pgjit.audit.proof.witness import Witness
from pgjit.config import Config
from pgjit.errors import ServerUnavailable
from pgjit.identity.fetch import web_authorities
from pgjit.identity.url_checks import is_loopback
from pgjit.telemetry.metrics import Metrics
from pgjit.telemetry.otlp import service_attributes

__all__ = ["open_checkpoints"]

_log = logging.getLogger("pgjit.journal.proof")
_SECONDS_TO_SEND = 5.0


@asynccontextmanager
async def open_checkpoints(
    config: Config, journal: Journal, clock: Callable[[], datetime], metrics: Metrics
) -> AsyncIterator[Checkpointer]:
    """Nothing may be written to the journal before it is entered. Raises ServerUnavailable and OSError."""
    section, folder = config.file.journal.checkpoint, config.journal_folder
    try:
        signer = _signer(config, section, folder)
        previous = [verifier_key(_placed(config, text), journal.origin) for text in section.previous_keys]
    except KeyUnusable as fault:
        raise _no_key(str(fault)) from None
    async with AsyncExitStack() as stack:
        outbox = Outbox(
            {name: await _sender(config, to, clock, stack) for name, to in section.send.items()},
            {name: await _witness(each.url, each.key, folder, stack) for name, each in section.witnesses.items()},
        )
        pace = CheckpointPace(section.every_seconds, section.every_records, section.heartbeat_seconds)
        checkpointer = await Checkpointer.open(journal, folder, signer, outbox, clock, previous=previous, pace=pace)
        journal.on_written.append(checkpointer.take)
        _watch(metrics, checkpointer, outbox)
        sending, signing = asyncio.create_task(outbox.run()), asyncio.create_task(checkpointer.run())
        signing.add_done_callback(_report_fault)
        try:
            yield checkpointer
        finally:
            checkpointer.stop()
            await asyncio.wait([signing])
            await outbox.drain(_SECONDS_TO_SEND)
            sending.cancel()
            await asyncio.wait([sending])
            journal.on_written.remove(checkpointer.take)


def _watch(metrics: Metrics, checkpointer: Checkpointer, outbox: Outbox) -> None:
    metrics.checkpoint_age.watch(lambda: {(): checkpointer.age})
    metrics.checkpoint_unsigned.watch(lambda: {(): checkpointer.unsigned})
    metrics.checkpoint_failures.watch(lambda: {(): checkpointer.failures})
    metrics.checkpoint_send_failures.watch(lambda: {(name,): n for name, n in outbox.send_failures.items()})
    metrics.checkpoint_witness_failures.watch(lambda: {(name,): n for name, n in outbox.witness_failures.items()})


def _report_fault(signing: asyncio.Task[None]) -> None:
    if not signing.cancelled() and (fault := signing.exception()) is not None:
        _log.critical("the journal is not signed any more, until a restart", exc_info=fault)


def _signer(config: Config, section: CheckpointSection, folder: Path) -> CheckpointSigner:
    """Raises KeyUnusable and OSError."""
    if section.command is not None and section.public_key is not None:
        return CommandSigner(section.command, verifier_key(_placed(config, section.public_key), "journal").public)
    if section.key is not None:
        return FileSigner(private_key(config.path(section.key)))
    path = default_key_path(config.path(config.file.journal.folder), config.worker)
    if path.exists():
        return FileSigner(private_key(path))
    if _was_signed(folder):
        raise KeyUnusable(f"`{path}`, which signed the journal before, is missing")
    _log.warning(
        "made the key %s, which signs the journal; it proves nothing against who controls this machine: "
        "see `journal.checkpoint` in docs/journal.md",
        path,
    )
    return FileSigner(new_private_key(path))


def _was_signed(folder: Path) -> bool:
    try:
        return newest_checkpoint(folder) is not None
    except NoteRejected:
        return True


def _placed(config: Config, text: str) -> str:
    """A key as a text, or the path of its file."""
    path = config.path(Path(text))
    return str(path) if path.exists() or "+" not in text else text


async def _sender(
    config: Config, section: ReceiverSection, clock: Callable[[], datetime], stack: AsyncExitStack
) -> CheckpointSender:
    if section.folder is not None:
        return FolderSender(config.path(section.folder), clock)
    if section.url is not None:
        return WebhookSender(section.url, await stack.enter_async_context(_client(section.url)))
    if section.kind == "otlp" and (target := config.otlp) is not None:
        from pgjit.audit.proof.otlp_sender import OtlpSender  # here: protobuf takes long to import

        client = await stack.enter_async_context(_client(target.endpoint, target.certificate))
        return OtlpSender(target, service_attributes(version("pgjit"), config.node), client, clock)
    return StdoutSender(clock)


async def _witness(url: str, key: str, folder: Path, stack: AsyncExitStack) -> Witness:
    def proof(old: int, size: int) -> list[bytes]:
        return consistency_proof(old, size, StoredTree(JournalFiles([folder])).subtrees(size, old))

    return Witness(url, VerifierKey.parse(key), await stack.enter_async_context(_client(url)), proof)


def _client(url: str, authority: str | None = None) -> httpx.AsyncClient:
    """`authority`: a PEM file with the only CA that is accepted."""
    local = is_loopback(httpx.URL(url).host)
    verify = web_authorities() if authority is None else ssl.create_default_context(cafile=authority)
    return httpx.AsyncClient(verify=verify, timeout=10.0, trust_env=not local, follow_redirects=False)


def _no_key(fault: str) -> ServerUnavailable:
    return ServerUnavailable(
        "the journal cannot be signed",
        reference="journal-key-unusable",
        detail=f"{fault}.",
        hint=(
            "Make a key with `pgjit audit key new FILE`, and name it in `journal.checkpoint.key`. If another key "
            "signed the journal before, name its public half in `journal.checkpoint.previous_keys`."
        ),
    )
