"""The commands of `pgjit`.

A function here is a command. Its parameters are the options, its docstring is the help text, and its result is the
exit code. `pgjit/cli/table.py` names the module and the function; `docs/cli.md` is generated from them.

- Run the proxy: `serve`, `check` (reads the same files and starts nothing).
- Write policies: `policy` groups `policy_check`, `policy_test`, `policy_explain` and `policy_rules`, which open no
  connection. `catalog` prints what a server has, for judging statements without it.
- Look at a server: `doctor`. Look at the window store, or upgrade it: `store`.
- Connect as a client: `token`, `psql`, `exec`.
- Decide, as a person, by the API: `request`, `requests`, `verdicts` (approve, refuse, withdraw, sign-off), `windows`
  (and sessions), `revoke` (and kill), `locks` (and lock, unlock), `access`.
- Try things: `demo`, `emulator`. They import `pgjit.demo`, which a production image does not have.

Start reading with `check.py`, the shortest. A command does not catch a `PgjitError`: `pgjit/cli/run.py` prints it and
chooses the exit code.

A command does not decide anything about access, statements or the server. With `--json` it prints one JSON document
or line on standard output, whose keys are stable; text for people may change.
"""
