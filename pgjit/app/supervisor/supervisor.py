"""The supervisor: starts a worker in each slot, watches them, replaces those that die, and passes on what they ask.

Decides when a worker is started and stopped. It opens no store and no journal: what a worker that died has left is
ended by the next one of its name, which need not wait until its predecessor counts as silent.
"""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
import sys
from collections.abc import Coroutine, Sequence
from pathlib import Path
from typing import Any

from pgjit.app.inherited_sockets import InheritedSockets
from pgjit.app.session_port import longest_drain
from pgjit.app.supervisor.bus import BusClosed
from pgjit.app.supervisor.bus_message import (
    Admitted,
    BusMessage,
    CancelAnswer,
    CancelAsk,
    EnterAsk,
    Left,
    NewLimits,
    PlaceAnswer,
    PlaceAsk,
    PlaceLeft,
    SiblingDied,
    WorkerReady,
)
from pgjit.app.supervisor.events import first_of
from pgjit.app.supervisor.listening import SlotSockets, bound_for_slots, close_all, divided
from pgjit.app.supervisor.node_limits import NodeLimits
from pgjit.app.supervisor.worker_child import WorkerChild, start_worker
from pgjit.app.supervisor.worker_folder import WorkerFolder
from pgjit.app.supervisor.worker_names import WorkerNames
from pgjit.app.supervisor.worker_slot import RestartDelay, SlotState, WorkerSlot
from pgjit.config import Config

__all__ = ["Supervisor", "WorkerFailed"]

_log = logging.getLogger("pgjit.workers")
_NAME_SECONDS = 1.0
_READY_SECONDS = 300.0
"""A worker that follows another one and is not ready by then is given up."""
_CANCEL_SECONDS = 8.0
_START_END_SECONDS = 60.0
_ANSWER_SECONDS = 5.0
_MOST_CANCELS = 256
_COMMAND = (sys.executable, "-P", "-m", "pgjit", "serve", "--config")


class WorkerFailed(Exception):
    """A worker ended before all were ready for the first time. It has reported why."""

    def __init__(self, status: int) -> None:
        super().__init__(f"a worker ended with status {status}")
        self.status = status


class Supervisor:
    def __init__(self, config: Config, path: Path, inherited: InheritedSockets) -> None:
        """`path`: of the configuration file, which each worker reads itself."""
        self._config = config
        self._command = (*_COMMAND, str(path))
        self._inherited = inherited
        self._names = WorkerNames(config.node, config.workers, config.journal_folder)
        limits = config.file.limits
        self.limits = NodeLimits(limits.connections, limits.connections_per_address, limits.sessions_per_identity)
        self.slots = [WorkerSlot[WorkerChild](number) for number in range(config.workers)]
        self._delays = [RestartDelay() for _ in self.slots]
        self.children: set[WorkerChild] = set()
        self._dead: dict[str, str] = {}  # run of the last process of a name, if it was not stopped in order
        self._listen: SlotSockets = []
        self._api: SlotSockets = []
        self._folder: WorkerFolder | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._cancels = 0
        self._rolling = asyncio.Lock()
        self._up = False
        self.longest_drain = longest_drain(limits)
        self._failed, self._status = asyncio.Event(), 0  # a worker ended before all served
        self.restarts = 0
        self.port = self.api_port = 0

    @property
    def stopping(self) -> bool:
        return self._stops()

    def _stops(self) -> bool:  # a method: mypy takes a property for unchanged after an await
        return any(slot.state is SlotState.STOPPING for slot in self.slots)

    # --- start and stop --------------------------------------------------------------------------------

    async def start(self) -> None:
        """Returns when every slot serves. Raises WorkerFailed and OSError; then nothing is left."""
        self._folder = WorkerFolder()
        try:
            self._folder.remove_left_over()
            self._open_sockets()
            for slot in self.slots:
                await self._start_in(slot)
            await self._all_ready()
            self._up = True
        except BaseException:
            await self.stop(_START_END_SECONDS)
            raise

    async def _all_ready(self) -> None:
        """Raises WorkerFailed if one ends before."""
        for child in list(self.children):
            await first_of(child.ready, self._failed)
            if self._failed.is_set():
                raise WorkerFailed(self._status)

    def _open_sockets(self) -> None:
        config, slots = self._config, len(self.slots)
        given, place, api = self._inherited, config.file.listen, config.file.api
        self._listen = (
            divided(given.listen, slots) if given.listen else bound_for_slots(place.host, place.port, slots)
        )
        self.port = self._listen[0][0].getsockname()[1]
        if given.api is not None:
            self._api = divided([given.api], slots)
        elif api is not None:
            self._api = bound_for_slots(api.listen.host, api.listen.port, slots)
        if self._api:
            self.api_port = self._api[0][0].getsockname()[1]

    async def stop(self, most: float | None = None) -> None:
        """Drain all workers, and return when they are gone. One that is not after `most` seconds is killed.

        By default that is as long as the limits in force allow.
        """
        most = self.longest_drain if most is None else most
        for slot in self.slots:
            slot.stop()
        for child in self.children:
            child.drain(delayed=True, keeps_queue=bool(self._inherited.listen))
        close_all((*self._listen, *self._api))  # the workers have their own references for as long as they accept
        if self.children:
            waits = [asyncio.create_task(child.ended.wait()) for child in self.children]
            await asyncio.wait(waits, timeout=most)
            for child in self.children:
                _log.critical("worker %s has not ended in %g s, and is killed", child.name, most)
                child.send_signal(signal.SIGKILL)
            await asyncio.gather(*waits)
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._folder is not None:
            self._folder.remove()

    def stop_at_once(self) -> None:
        """A second order to stop: nothing is waited for any more."""
        for child in self.children:
            child.send_signal(signal.SIGTERM)

    def pass_on(self, number: signal.Signals) -> None:
        """To each worker, also to one that drains. One that is starting gets it when it serves."""
        for child in self.children:
            self._run(self._pass_on_to(child, number))

    async def _pass_on_to(self, child: WorkerChild, number: signal.Signals) -> None:
        await first_of(child.ready, child.ended)
        if child.ready.is_set():
            child.send_signal(number)

    # --- workers ---------------------------------------------------------------------------------------

    def _run(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _start_in(self, slot: WorkerSlot[WorkerChild]) -> WorkerChild | None:
        """Start a worker in the slot; None if the supervisor stops meanwhile. Raises OSError."""
        while (name := self._names.free({child.name for child in self.children})) is None:
            _log.warning("slot %d waits: all names of workers are taken by those that drain", slot.number + 1)
            await asyncio.sleep(_NAME_SECONDS)
        if self._stops():
            return None
        self._names.begin(name)
        dead = [self._dead[name]] if name in self._dead else []
        listening: list[tuple[socket.socket, str]] = [(each, "listen") for each in self._listen[slot.number]]
        listening += [(each, "api") for each in (self._api[slot.number] if self._api else ())]
        assert self._folder is not None
        child = await start_worker(
            self._command, name, slot.number, listening, self._folder.path, dead, held=bool(self._inherited.listen)
        )
        self.children.add(child)
        if self._stops():
            child.drain()
        else:
            slot.started(child)
        _log.info("worker %s is started as process %d", name, child.process.pid)
        self._run(child.bus.receive(lambda message: self._handle(child, message)))
        self._run(self._watch(child))
        return child

    async def _watch(self, child: WorkerChild) -> None:
        status = await child.process.wait()
        child.bus.close()
        child.admin.unlink(missing_ok=True)
        self.children.discard(child)
        self.limits.forget(child)
        slot, in_order = self.slots[child.slot], status == 0
        if in_order:
            self._names.ended_in_order(child.name)
            self._dead.pop(child.name, None)
        else:
            self._dead[child.name] = child.run
            self._give_to_sibling(child)
        expected = child.draining and in_order
        how = f"status {status}" if status >= 0 else f"signal {-status}"
        _log.log(logging.INFO if expected else logging.ERROR, "worker %s has ended: %s", child.name, how)
        was_of_slot = slot.ended(child)
        child.ended.set()
        if not self._up:
            self._status = status
            self._failed.set()
        elif was_of_slot and slot.state is SlotState.EMPTY:
            self._run(self._restart(slot, self._delays[slot.number].after(child.lived)))

    def _give_to_sibling(self, dead: WorkerChild) -> None:
        """A worker that runs is faster than the next one of the slot, which takes over if there is none."""
        serving = [slot.worker for slot in self.slots if slot.worker is not None and slot.worker is not dead]
        if (other := next((each for each in serving if each.ready.is_set()), None)) is not None:
            other.bus.send(SiblingDied(name=dead.name, run=dead.run))

    async def _restart(self, slot: WorkerSlot[WorkerChild], delay: float) -> None:
        self.restarts += 1
        if delay:
            _log.warning("the next worker of slot %d starts in %g s", slot.number + 1, delay)
            await asyncio.sleep(delay)
        while slot.state is SlotState.EMPTY:
            try:
                await self._start_in(slot)
            except OSError as fault:
                delay = self._delays[slot.number].after(0.0)
                _log.error("no worker can be started in slot %d: %s", slot.number + 1, fault)
                await asyncio.sleep(max(delay, _NAME_SECONDS))

    async def replace_all(self) -> bool:
        """Replace every worker by a new one, slot by slot. Returns whether all were. One at a time is under way."""
        async with self._rolling:
            for slot in self.slots:
                if slot.state is not SlotState.SERVING:
                    continue  # its worker is new
                try:
                    following = await self._start_in(slot)
                except OSError as fault:
                    _log.error("workers are not replaced: no process can be started: %s", fault)
                    return False
                if following is None or not await self._became_ready(following):
                    _log.error("workers are not replaced: the new one of slot %d is not ready", slot.number + 1)
                    return False
            return True

    async def _became_ready(self, child: WorkerChild) -> bool:
        try:
            async with asyncio.timeout(_READY_SECONDS):
                await first_of(child.ready, child.ended)
        except TimeoutError:
            child.drain()
        return child.ready.is_set()

    async def all_answer(self) -> bool:
        """Whether the event loop of every worker responds."""
        pages = [child.page("/healthz") for child in self.children if child.ready.is_set()]
        return all(status == 200 for status, _ in await asyncio.gather(*pages))

    # --- the bus ---------------------------------------------------------------------------------------

    def _handle(self, child: WorkerChild, message: BusMessage) -> None:
        match message:
            case WorkerReady():
                self._take_over(child)
            case NewLimits():
                self.limits.change(message.connections, message.of_address, message.of_identity)
                self.longest_drain = message.drain
            case EnterAsk():
                accepted, limit = self.limits.enter(child, message.network)
                child.bus.send(Admitted(number=message.number, accepted=accepted, limit=limit))
            case Left():
                self.limits.leave(child, message.network)
            case PlaceAsk():
                taken = self.limits.take_place(child, message.key)
                child.bus.send(PlaceAnswer(number=message.number, taken=taken))
            case PlaceLeft():
                self.limits.leave_place(child, message.key)
            case CancelAsk():
                self._run(self._cancel(child, message))
            case _:
                _log.error("worker %s sent `%s`, which is no message of a worker", child.name, message.kind)

    def _take_over(self, child: WorkerChild) -> None:
        if child.ready.is_set() or child.ended.is_set():
            return
        child.ready.set()
        _log.info("worker %s serves", child.name)
        if (replaced := self.slots[child.slot].ready(child)) is not None:
            _log.info("worker %s is replaced, and drains", replaced.name)
            replaced.drain()

    async def _cancel(self, asking: WorkerChild, ask: CancelAsk) -> None:
        """Ask all other workers, also those that drain: their sessions go on."""
        found = False
        if self._cancels < _MOST_CANCELS:
            self._cancels += 1
            try:
                found = await self._cancel_in_others([each for each in self.children if each is not asking], ask)
            finally:
                self._cancels -= 1
        asking.bus.send(CancelAnswer(number=ask.number, found=found))

    async def _cancel_in_others(self, others: Sequence[WorkerChild], ask: CancelAsk) -> bool:
        async def cancelled_in(child: WorkerChild) -> bool:
            def numbered(number: int) -> BusMessage:
                return ask.model_copy(update={"number": number})

            try:
                return (await child.bus.ask(CancelAnswer, numbered)).found
            except BusClosed:
                return False

        asked = [asyncio.create_task(cancelled_in(each)) for each in others if each.ready.is_set()]
        try:
            async with asyncio.timeout(_CANCEL_SECONDS):
                for answer in asyncio.as_completed(asked):
                    if await answer:
                        return True
        except TimeoutError:
            pass
        finally:
            for each in asked:
                each.cancel()
        return False
