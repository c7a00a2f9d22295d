"""pgjit: a PostgreSQL proxy that gives AI agents just-in-time access to databases.

A client connects with an access token as its password. pgjit checks the token, opens a window, logs in to the real
server with its own credential, judges and records every statement, and ends the session when the window is over.

The rooms of this package, in the order in which they may import each other (each imports only from those listed
before it):

- `sql` reads statements, `identity` checks tokens, `policy` decides what may run;
- `judging` runs the policy on a text, `grants` keeps windows, `audit` writes the journal;
- `server` logs in to the real server, `proxy` serves a client's session from start to end;
- `doctor` examines a login role, `api` serves health and metrics, `demo` is for tests and demonstrations;
- `config.py` reads the configuration, `app/` starts and stops all parts, `cli` has the commands.

The other files here are small, and several rooms need them: `errors.py` and `clock.py` first.

Words:

- *identity*: who connects, known by tenant id and object id.
- *policy*: one file that says which group may use which connection, for how long, with which statements.
- *window*: the time that was granted to one identity under one policy. Nothing that the identity does moves its end.
- *session*: one client connection inside a window.
- *execution*: one time that a statement ran. The journal has a record of each.

Start reading with `app/application.py`, which builds everything, or with `proxy/session.py`, the story of one
session.
`ARCHITECTURE.md` has the picture and the invariants. The wire protocol is in the package `pgwire`, which knows
nothing of pgjit.
"""
