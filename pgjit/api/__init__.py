"""HTTP: the API for people and programs, and the admin port with liveness, readiness and metrics.

This room decides who may call what over HTTP, in which form errors and lists are returned, and how HTTP servers stop.
They run in the proxy's own event loop, so nothing here may block.

Words:

- *caller*: who sent the token of a call; *role*: requester, reviewer, auditor or admin, by group.
- *gate*: what every call passes first: token, rate, size. *Endpoint*: one path, in `endpoints/`.
- *problem*: an error as JSON (RFC 9457), rendered from a PgjitError.
- *call record*: `api.called` in the journal, written before a call changes anything or reads what belongs to others.
- *ready*, *live*: what `/readyz` and `/healthz` of the admin port return.

Start reading with `http_api.py` (how the API is put together), then `gate.py`, `caller.py` and `calls.py`; the
configuration is in `section.py`, the JSON in `shapes.py`. The admin port is `health.py`. Both are served by
`serving.py`, and so is the demo's emulator.

It does not decide requests, windows or locks: `grants` does, and `proxy/window` carries out what ends sessions. The
admin port does not authenticate its callers, shows nothing of what agents do, and listens on this machine's own
address by default.
"""
