"""What is to become of a batch of the client's messages: a plan for recording and sending. Values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pgjit.audit.event import Event, Execution
from pgjit.errors import PgjitError
from pgjit.proxy.relay.exchange import LoneExchange
from pgjit.proxy.relay.in_flight import InFlight
from pgwire.framing import Frame

__all__ = ["ClientPlan", "Planned"]

_HEAVY = 256 * 1024


@dataclass(slots=True)
class Planned:
    """Bytes for the server, and the request that they are. None: the server does not answer them."""

    data: bytes
    request: InFlight | None = None
    executes: bool = False  # it runs something: the record must be in the journal first


class ClientPlan:
    """The result of a batch of the client's frames."""

    rest: Sequence[Frame] = ()  # frames that wait for the server's answer, or for the turn of other sessions
    unjudged: bytes | None = None  # `rest` begins with this text, which the judge's worker has to judge first
    unknown: bool = False  # `rest` begins with a statement for which the catalog should be read again
    goodbye: bool = False  # the client sent Terminate
    fault: PgjitError | None = None  # the client broke the protocol: nothing is forwarded, the session ends
    exchange: LoneExchange | None = None  # all that is sent, in place of `items`

    def __init__(self) -> None:
        self.items: list[Planned] = []
        self.events: list[Event] = []  # to be in the journal before `data` is sent

    @property
    def heavy(self) -> bool:
        """Its records should be written before there are more: a few bytes may run a long statement."""
        texts = (len(event.statement) for event in self.events if isinstance(event, Execution))
        return sum(texts) > _HEAVY

    @property
    def data(self) -> bytes:
        exchange = self.exchange
        return b"".join([item.data for item in self.items] if exchange is None else exchange.messages)

    @property
    def each(self) -> list[Planned]:
        """The items, also those of an exchange."""
        exchange = self.exchange
        if exchange is None:
            return self.items
        return [
            Planned(raw, request, executes=bool(request.runs))
            for raw, request in zip(exchange.messages, exchange.unfold(), strict=True)
        ]
