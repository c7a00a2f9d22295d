"""The HTTP API: liveness, readiness and metrics, on the admin port.

This room decides the paths, the form of their responses, and how the HTTP server stops. It runs in the proxy's own
event loop, so a health check that is answered also shows that the loop responds.

Words:

- *live*: the event loop responds. `/healthz` returns 200.
- *ready*: every readiness check is true. `/readyz` returns 200, else 503 with the checks that are false.
- *check*: a named condition, such as "journal writable". `app.py` supplies the checks.
- *metrics*: the numbers of `pgjit/telemetry.py`, in Prometheus's text format at `/metrics`.
- *prompt server*: uvicorn, changed so that it stops at once and leaves signals to the program.

Start reading with `health.py` (the endpoints); `serving.py` has the server that runs them. The demo's emulator uses
the same server.

It does not know sessions, windows, identities or statements: nothing of what agents do can be read here. It does
not authenticate its callers, so the admin port listens on this machine's own address by default.
"""
