"""The endpoints of the HTTP API, one file for each kind of object.

This room decides, for each path, which roles may call it, whether the call is recorded, and what it returns. What a
call changes is decided by `grants` and carried out by `proxy/window`; an endpoint only passes it on.

Words:
- role: requester, reviewer, auditor or admin; `ApiCall.require` returns the one in which the caller acts.
- own: of the caller's identity. Reading one's own requests and windows is not recorded.
- record: `ApiCall.record` writes `api.called` to the journal. It comes before the work of the endpoint.
- change: `ApiCall.change` records a call and carries it out once for each idempotency key.
- page: a list is `items` and `next`, the cursor of the next page.

Start reading with `about.py` (who am I, which policies there are), then `requests.py` and `windows.py`. Each file has
a `router`; `pgjit/api/http_api.py` puts them together.

It does not know tokens: `pgjit/api/gate.py` has admitted the caller before. It knows no SQL and no wire protocol.
"""
