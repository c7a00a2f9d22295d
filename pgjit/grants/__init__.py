"""Requests and windows: who approved what, since when, until when, and who may open the next window.

This room decides how a request changes and who may review it; when a window opens, when a login joins it, when it is
over, and for how long the next one is refused. It decides purely, from values and `now`; a store keeps the result.

- **request**: what somebody asked for under `grant: review` (`request.py`), and how it changes
  (`request_lifecycle.py`). Its digest binds an approval to exactly that.
- **reviewer**: a person who may decide a request (`reviewers.py`): never the requester, never a program.
- **lock, revocation**: they apply to a scope (`scope.py`): an identity, a policy, a connection, everything.

- **window**: the time granted to one identity under one policy (`window.py`). Its recorded start and
  end never change; a policy with a shorter `ttl` ends it earlier.
- **cooldown**: the time after a window's end in which no new one opens: until `retry_at`.
- **store**: the contract of what keeps windows (`store.py`). The stores themselves are in `stores/`.
- **outbox**: the records that the journal has still to take (`outbox.py`, `journal_entry.py`).
- **notice, notification**: a change that people may want to hear of, and the message about it for one channel
  (`notification.py`). The store keeps both (`notification_store.py`); `pgjit/notify/` sends.
- **node**: one pgjit process of those on a store (`node.py`, `fleet_store.py`); **lease**: its part of a budget
  (`lease.py`).
- **kept backend**: a session's backend, in the store until it is seen to be gone (`kept_backend.py`).

Start with `lifecycle.py`: `decide` returns Join, Open or a refusal, and `effective_end` the end under today's policy.
`requests.py` is the service for requests that the door, the API and the chat channels call.
Then `store.py`, and `stores/sql.py` for its transactions. `server_process.py` decides what proves that a backend is
gone. `usage.py` is the budget that was used, and `journal_mark.py` the last journal record that the store has noted.

The room does not know sessions, clients or the wire protocol. It does not end a session: `proxy/window/` carries out
the end, and writes the records.
"""
