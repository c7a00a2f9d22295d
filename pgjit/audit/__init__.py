"""The audit journal: executions are recorded before they run, other events when they happen.

This room decides which events there are, how each is written, and what a failed write means. An execution is recorded
before its bytes go to the server: if the journal cannot take the record, the statement does not run.

- **event**: something that happened, as a value (`event.py`): an execution, its outcome, a session, a window.
- **record**: one line of JSON for one event (`record.py`, and `*_record.py` for each kind). Its members are
  documented in `docs/journal.md`.
- **journal**: the sequence of records, numbered without a gap (`journal.py`).
- **sink**: the contract of what keeps the lines (`sink.py`). The sinks themselves are in `sinks/`.
- **mark**: the last record that is on the disk; the store notes it, so that lost records are noticed.

Start with `event.py`, then `journal.py`: `append` writes records at once, `enqueue` with those of other sessions
(`group_commit.py`), `flush` puts them on the disk. `parameters.py` decides how much of bound values is kept,
`redaction/` what a policy leaves out, `results/` which rows are kept, `invisible_characters.py` which characters are
escaped. `window_history.py` reads windows back from records, for a store that has lost them.

The room does not know who records events, nor why: `proxy/relay/` records executions, `proxy/window/` windows. It
imports nothing of `server` and `proxy`.
"""
