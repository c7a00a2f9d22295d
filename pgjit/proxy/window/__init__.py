"""The windows of this process, and their end.

This room decides when a window's end is carried out, and in which order a backend is stopped. `grants` decides
whether a window may be opened and how long it lasts.

- **windows**: admit logins, run a timer for each window, record openings and ends (`windows.py`).
- **backend stop**: cancel, `pg_terminate_backend`, and checks until the backend is gone (`backend_stop.py`).
- **proof**: what was seen of the stop; the journal keeps it in the record of the session's end.
- **outbox**: records that the store keeps until the journal has them (`outbox_records.py`).
- **orphan**: a backend that an earlier process left; its entry in the store leads to it (`kept_backends.py`).
- **node**: this process among the others on its store (`fleet_node.py`); it ends what dead nodes left
  (`node_work.py`).
- **lease**: the part of a window's budget that this node may spend without the store (`leases.py`).

Start with `Windows._carry_out` in `windows.py`: it waits for the end of a window (`wait_until.py`), ends its sessions
and records the end. Each session ends in `proxy/session_end.py`, which runs a `BackendStop`. `end_errors.py` has the
errors that clients receive. `revocations.py` ends what people revoke, lock or kill. `reconciliation.py` compares
store and journal when pgjit starts.

The room does not read messages of the protocol, and does not know statements or tokens.
"""
