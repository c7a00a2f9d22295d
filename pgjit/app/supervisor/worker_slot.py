"""The states of a worker's slot, and how long a slot waits before it starts the next worker. Pure.

Decides which worker of a slot serves, and which follows it. Does not know processes: a worker is a value.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import Generic, TypeVar

__all__ = ["SLOT_TRANSITIONS", "RestartDelay", "SlotEvent", "SlotState", "WorkerSlot"]


class SlotState(Enum):
    EMPTY = "empty"  # no worker serves; one is started when the delay is over
    STARTING = "starting"  # the only worker is not ready yet
    SERVING = "serving"
    REPLACING = "replacing"  # one serves, and the one that follows it is not ready yet
    STOPPING = "stopping"  # no worker follows


class SlotEvent(Enum):
    STARTED = "started"  # a worker was started
    READY = "ready"  # the youngest worker is ready
    ENDED = "ended"  # the worker that serves, or the only one, has ended
    NEXT_ENDED = "next ended"  # the one that was to follow has ended
    STOP = "stop"


SLOT_TRANSITIONS: dict[tuple[SlotState, SlotEvent], SlotState] = {
    (SlotState.EMPTY, SlotEvent.STARTED): SlotState.STARTING,
    (SlotState.STARTING, SlotEvent.READY): SlotState.SERVING,
    (SlotState.STARTING, SlotEvent.ENDED): SlotState.EMPTY,
    (SlotState.SERVING, SlotEvent.STARTED): SlotState.REPLACING,
    (SlotState.SERVING, SlotEvent.ENDED): SlotState.EMPTY,
    (SlotState.REPLACING, SlotEvent.READY): SlotState.SERVING,
    (SlotState.REPLACING, SlotEvent.NEXT_ENDED): SlotState.SERVING,
    (SlotState.REPLACING, SlotEvent.ENDED): SlotState.STARTING,  # the one that follows is the only one now
    (SlotState.EMPTY, SlotEvent.STOP): SlotState.STOPPING,
    (SlotState.STARTING, SlotEvent.STOP): SlotState.STOPPING,
    (SlotState.SERVING, SlotEvent.STOP): SlotState.STOPPING,
    (SlotState.REPLACING, SlotEvent.STOP): SlotState.STOPPING,
    (SlotState.STOPPING, SlotEvent.READY): SlotState.STOPPING,
    (SlotState.STOPPING, SlotEvent.ENDED): SlotState.STOPPING,
    (SlotState.STOPPING, SlotEvent.NEXT_ENDED): SlotState.STOPPING,
    (SlotState.STOPPING, SlotEvent.STOP): SlotState.STOPPING,
}
"""A pair that is missing is an error."""

W = TypeVar("W")


@dataclass(slots=True)
class WorkerSlot(Generic[W]):
    """The workers of one slot: `worker` serves or is the only one, `following` takes its place when it is ready.

    Those that were replaced are not the slot's any more: they drain, and end by themselves.
    """

    number: int
    state: SlotState = SlotState.EMPTY
    worker: W | None = None
    following: W | None = None

    def _move(self, event: SlotEvent) -> None:
        try:
            self.state = SLOT_TRANSITIONS[self.state, event]
        except KeyError:
            raise ValueError(f"slot {self.number} is {self.state.value}: `{event.value}` is not possible") from None

    def started(self, worker: W) -> None:
        self._move(SlotEvent.STARTED)
        if self.state is SlotState.REPLACING:
            self.following = worker
        else:
            self.worker = worker

    def ready(self, worker: W) -> W | None:
        """The worker is ready. Returns the one that it replaces, which has to drain now."""
        if worker is not self.following:
            if worker is self.worker:
                self._move(SlotEvent.READY)
            return None
        self._move(SlotEvent.READY)
        if self.state is SlotState.STOPPING:
            return None
        replaced, self.worker, self.following = self.worker, worker, None
        return replaced

    def ended(self, worker: W) -> bool:
        """The worker has ended. Returns whether it was one of this slot, and not one that was replaced before."""
        if worker is self.following:
            self._move(SlotEvent.NEXT_ENDED)
            self.following = None
            return True
        if worker is self.worker:
            self._move(SlotEvent.ENDED)
            self.worker, self.following = self.following, None
            return True
        return False

    def stop(self) -> None:
        """From now on no worker is started."""
        self._move(SlotEvent.STOP)


@dataclass(slots=True)
class RestartDelay:
    """How long a slot waits before it starts the next worker: not at all, then twice as long after each early end."""

    first: float = 0.5
    most: float = 30.0
    settled: float = 60.0  # a worker that lived for so long has not failed at its start
    _ends: int = field(default=0, init=False)

    def after(self, lived: float) -> float:
        """Seconds to wait, after a worker that lived for `lived` seconds."""
        self._ends = 0 if lived >= self.settled else self._ends + 1
        return 0.0 if self._ends <= 1 else min(self.most, self.first * 2.0 ** min(self._ends - 2, 30))
