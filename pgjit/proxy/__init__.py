"""A live connection, from the accepted socket to the proof that its backend is gone.

This room decides the order of the steps of a session. Other rooms decide what each step accepts: `identity` verifies
the token, `policy` and `judging` decide about statements, `grants` about windows, and `server` reaches PostgreSQL.

- **session**: one client connection inside a window, with one backend (`session.py`).
- **access**: the result of authorization: identity, policy, window and end. No login to a server without it
  (`access.py`).
- **services**: what all sessions share (`services.py`).
- **registry**: the live sessions, found by window or by cancel key (`registry.py`).
- **window**: the granted time that one or more sessions share (`window/`).

Start with `session.py`. `authorization.py` makes the access of a login. `listener.py` accepts connections, and
`door/` handles everything before a client is authenticated. `membership.py` resolves groups and rechecks them.
`server_settings.py` gives the settings of the session on the server. `relay/` judges and forwards messages in both
directions. `end_notices.py` sends the notices before the end. `session_end.py` ends the session when its client
leaves or its time is over: a running COPY gets a CopyFail there, and `window/backend_stop.py` stops the backend.
`window/windows.py` carries out the end of a window. A cancel request goes from `listener.py` through `registry.py`
to `Session.cancel`, and on to the server by `server/upstream.py`.

The room does not know how a token is verified, what a statement means, or how records are stored.
"""
