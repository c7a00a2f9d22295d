"""From a policy and the text of a message to a judgement.

This room decides what happens to text that cannot be judged, which judgements are cached, and where a statement is
judged: on the event loop or in a worker process. Which statements are allowed is decided by `policy`.

- **judgement**: the statements of one Query or Parse message, with the violations found; it is allowed if there are
  none (`judgement.py`).
- **judge**: judges under one policy with one catalog, and caches judgements by the exact bytes of the text (`Judge`).
- **shape**: a text without its plain constants. What was allowed is remembered by it, for texts that differ only in
  constants that the decision has not looked at (`shape_cache.py`).
- **redacted text**: what a record has of a text under a policy with `redact` (`redacted_text.py`).
- **judge workers**: two worker processes, one of them for large statements, and their queues (`judge_workers.py`).
- **fair queue**: identities take turns, so one identity's statements do not delay another's (`fair_queue.py`).
- **dry run**: the same decision without a client or a server, for `pgjit policy test` and `explain` (`dry_run.py`).
- **explanation**: a judgement with what led to it (`explanation.py`), and **policy tests**: what the tests beside a
  policy gave (`policy_tests.py`). `explainer.py` makes both for people, in a process of its own.

Start with `assess` in `judge.py`. A worker has two ends: `worker_process.py` is the handle in the proxy, and
`worker_program.py` the program in the child process. `catalog_transfer.py` sends a catalog in small parts.

The room does not know sessions, sockets or the wire protocol. It does not refresh catalogs: it uses the one it is
given. Only `judge_workers.py`, `explainer.py` and both ends of a worker do I/O; `policy_tests.py` reads files.
"""
