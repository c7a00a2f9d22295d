"""The messages of the bus between the supervisor and its workers: a JSON object a line. Pure.

Decides which messages there are and what they may hold. A line that is none of them is a fault of the peer.
"""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

__all__ = [
    "MOST_BYTES",
    "Admitted",
    "BusFault",
    "BusMessage",
    "CancelAnswer",
    "CancelAsk",
    "Descriptor",
    "DrainOrder",
    "EnterAsk",
    "Left",
    "NewLimits",
    "PlaceAnswer",
    "PlaceAsk",
    "PlaceLeft",
    "SiblingDied",
    "WorkerReady",
    "WorkerStart",
    "decoded",
    "encoded",
]

MOST_BYTES = 64 * 1024
"""The longest line."""
_Number = Annotated[int, Field(ge=0, lt=1 << 63)]
_Count = Annotated[int, Field(ge=1, le=1 << 30)]
_Text = Annotated[str, Field(max_length=512)]
_Name = Annotated[str, Field(min_length=1, max_length=128)]


class BusFault(Exception):
    """The peer sent something that is no message. The text says what."""


class _Message(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Descriptor(_Message):
    """A listening socket that the worker inherits."""

    number: Annotated[int, Field(ge=3, lt=1 << 20)]
    purpose: Literal["listen", "admin", "api"]


class WorkerStart(_Message):
    """The first message to a worker: who it is, and which sockets are its own."""

    kind: Literal["start"] = "start"
    name: _Name
    run: _Name  # of this process on the store
    dead: Annotated[list[_Name], Field(max_length=64)]  # runs that have ended: nobody waits whether they are silent
    held: bool  # a service manager holds the sockets too: they stay open when the supervisor is gone
    descriptors: Annotated[list[Descriptor], Field(max_length=64)]


class DrainOrder(_Message):
    """Serve who is there, and end. `delayed`: the node stops, and balancers have to notice first.

    `keeps_queue`: what waits in the sockets is accepted by another process.
    """

    kind: Literal["drain"] = "drain"
    delayed: bool
    keeps_queue: bool


class WorkerReady(_Message):
    """The worker serves clients."""

    kind: Literal["ready"] = "ready"


class SiblingDied(_Message):
    """A worker was not stopped in order: the receiver ends what it left."""

    kind: Literal["died"] = "died"
    name: _Name
    run: _Name


class NewLimits(_Message):
    """The worker has read the configuration again: these limits are in force for all workers from now on."""

    kind: Literal["limits"] = "limits"
    connections: _Count
    of_address: _Count
    of_identity: _Count
    drain: Annotated[float, Field(ge=0, le=100_000)]  # seconds that an orderly stop takes at most


class EnterAsk(_Message):
    """Whether a connection of this network may be served: it counts towards the limits of all workers."""

    kind: Literal["enter"] = "enter"
    number: _Number
    network: _Text


class Admitted(_Message):
    """`limit`: which limit is reached. The connection counts if it is `accepted`, if only to get the error."""

    kind: Literal["admitted"] = "admitted"
    number: _Number
    accepted: bool
    limit: Literal["connections", "address"] | None = None


class Left(_Message):
    """A connection that was accepted has ended."""

    kind: Literal["left"] = "left"
    network: _Text


class PlaceAsk(_Message):
    """Whether an identity may have one more session. `key` stands for the identity, and is not read."""

    kind: Literal["place"] = "place"
    number: _Number
    key: _Text


class PlaceAnswer(_Message):
    kind: Literal["placed"] = "placed"
    number: _Number
    taken: bool


class PlaceLeft(_Message):
    kind: Literal["place-left"] = "place-left"
    key: _Text


class CancelAsk(_Message):
    """Cancel in the session with this key, if the receiver has it. The bus is private to these processes."""

    kind: Literal["cancel"] = "cancel"
    number: _Number
    pid: Annotated[int, Field(ge=-(1 << 31), lt=1 << 32)]
    secret: Annotated[str, Field(pattern=r"^([0-9a-f]{2}){1,256}$")]


class CancelAnswer(_Message):
    """`found`: a session had the key, and the server has processed the request."""

    kind: Literal["cancelled"] = "cancelled"
    number: _Number
    found: bool


BusMessage: TypeAlias = (
    WorkerStart
    | WorkerReady
    | DrainOrder
    | SiblingDied
    | NewLimits
    | EnterAsk
    | Admitted
    | Left
    | PlaceAsk
    | PlaceAnswer
    | PlaceLeft
    | CancelAsk
    | CancelAnswer
)
_ADAPTER: TypeAdapter[BusMessage] = TypeAdapter(Annotated[BusMessage, Field(discriminator="kind")])


def encoded(message: BusMessage) -> bytes:
    return message.model_dump_json().encode() + b"\n"


def decoded(line: bytes) -> BusMessage:
    """Raises BusFault."""
    if len(line) > MOST_BYTES:
        raise BusFault(f"a line of {len(line)} bytes")
    try:
        return _ADAPTER.validate_json(line)
    except ValidationError as fault:
        first = fault.errors(include_url=False, include_input=False)[0]
        raise BusFault(f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from None
