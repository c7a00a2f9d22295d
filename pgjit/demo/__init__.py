"""A whole pgjit on one machine, for `pgjit demo` and the tests. Not for production.

This room decides how an embedded PostgreSQL, a stand-in for Entra and the proxy are started together and removed
again, and which story the demo plays on them. The production image is built without it. Only the commands `demo` and
`emulator` and the tests import it.

Words:

- *world*: all parts together, in one folder that is deleted at the end (`world.py`).
- *emulator*: the local stand-in for Entra and Microsoft Graph (`emulator/`).
- *demo database*: an embedded PostgreSQL with a sample shop and narrow login roles (`database.py`, `sample.sql`,
  `roles.sql`).
- *story*: the steps that the demo shows and checks (`story.py`), in two acts (`window_act.py`, `review_act.py`) on
  one stage: the terminal, the real psql, and pgjit's own commands (`stage.py`).
- *certificates*: a throw-away CA and server certificate (`certificates.py`).

Start reading with `world.py`: it writes the configuration file that `pgjit serve` would read, and runs `App` with it.
Then read `story.py`. `client.py` finds a psql that can use TLS; `by_hand.py` writes what a visitor needs.

`roles.sql` is also an example: it shows how narrow a login role can be.

This room does not know how statements are judged or sessions run: it uses pgjit as a user does. Its keys, passwords
and certificates are made at each start, and no real system may trust them.
"""
