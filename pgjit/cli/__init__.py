"""The command line: `pgjit COMMAND`.

This room decides which commands there are, what their options are called, how results and errors are printed, and
the exit code. What the commands do is decided by the other rooms: a command reads its options, calls them, and
prints the result.

Words:

- *command*: one module in `commands/`, and one line in `table.py`. It is imported when it is used.
- *status*: the exit code, the same for every command (`status.py`).
- *token source*: where a client command gets the access token from (`token_source.py`).
- *plain*: text from outside, with control characters written out so that it cannot control the terminal.
- *explanation*: what `pgjit policy explain` prints: the decision, its reasons, the line of the policy.

Start reading with `run.py` (finds the command, turns errors into exit codes), then `table.py`, then one module in
`commands/`. `appearance.py` is the look of `--help`.

- Commands on policies share `policies.py` (options), `explanation.py`, `caret.py` (a position in a statement).
- Commands that start a client share `client_settings.py` and `token_source.py`.
- Commands that call the API share `api_settings.py` (options, confirmation), `api_client.py`, `grant_texts.py` with
  `columns.py` (tables), `printing.py`, `following.py` and `event_bell.py` (`--watch`, `--wait`).
- Commands with an event loop use `loop.py` (signals, uvloop).

It does not know how a statement is judged or how a session runs. Nothing imports this room but `pgjit/__main__.py`.
"""
