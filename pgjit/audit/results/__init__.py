"""The rows that executions returned, under `record: results`.

This room decides how much of a result is kept, in which form, and where: in files beside the segments of the journal.
The record of an outcome has the place and the SHA-256 of its result, so the proof of the journal covers it.

Words:

- *result*: the rows that one execution sent to its client, or the lines of its COPY TO STDOUT.
- *capture*: a result while it comes. It has the messages as the server sent them, up to the caps of the policy.
- *reference*: the file, the place in it, and the SHA-256 of a kept result.
- *origin*: the table and the column that a result's column comes from, as the server numbers them.

A reader starts with `capture.py`, then `result_files.py` and `stored_results.py`.

It does not know which bytes belong to which execution (`pgjit/proxy/relay/server_side.py`), nor when the client
receives them (`pgjit/proxy/relay/kept_results.py`).
"""
