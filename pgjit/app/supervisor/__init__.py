"""Several worker processes behind one port, and the supervisor that starts, watches and replaces them.

The room decides how many processes serve, which names they have, what happens when one dies, and what holds for all
of them together.

- **supervisor**: the process that people start. It holds the listening sockets, and serves the admin port. It opens
  no store, writes no journal, and reads no key.
- **worker**: a process that serves clients: `pgjit serve` with the whole application. It is a node on the store,
  under a name of its own (`a.1`), and writes a journal of its own.
- **slot**: a place for one worker. Its listening sockets stay open while workers come and go, so the connections that
  nobody has accepted yet wait for the slot's next worker. The kernel divides new connections among the slots.
- **bus**: a Unix socket between the supervisor and each worker. It carries what concerns all workers: the counts of
  the limits, and cancel requests for the session of another worker. At its end a worker knows that the supervisor is
  gone, and drains.

Start with `supervisor.py`, then `worker_slot.py`, which has the states of a slot. `worker_bus.py` is the worker's end
of the bus, `worker_serving.py` what a worker does beside serving.

The room does not know sessions, policies or windows. What workers do for each other on the store, they do as any
nodes of a fleet.
"""

from __future__ import annotations

__all__: list[str] = []
