"""The way to the real PostgreSQL.

This room decides which server a session gets, how pgjit logs in there, and how a backend is cancelled and terminated.

- **target**: a configured connection: hosts, database, login credential and TLS rules (`target.py`).
- **upstream**: a logged-in connection to a server, for one session (`upstream.py`).
- **backend**: an upstream, its server process, and the control pool that can end it (`Backend` in `servers.py`).
- **control connection**: a second connection to the same server. It identifies backends, terminates them and checks
  that they are gone. Each address has a pool of two (`control_pool.py`).
- **link**: one side of a session: a socket, with TLS or without, its buffers and its flow control (`link.py`).
- **catalog**: the relations, functions, types and operators of a database; cached for each target in
  `catalog_cache.py`.

Start with `servers.py`: failover between hosts and addresses. A login goes through `upstream.py`, which takes the
secret from `credential.py`, the TLS link from `dial.py` and the protocol from `login.py` and `scram.py`. A cancel
request is sent by `cancel_running` in `upstream.py`. Control queries are in `control_queries.py`; sessions that end
together share them by `signal_batches.py`. `reserve_login.py` keeps a login for the case that a session attacks the
control connections. `warm_logins.py` makes logins ahead for agents that connect often. The catalog is refreshed by
`catalog_cache.py` with the queries of `catalog_queries.py` and `catalog_secrets.py`. `login_config.py` has the
configuration keys.

A link is used on both sides of a session. `readiness.py` reports which sockets can be read or written, and
`tls_handshake.py` starts TLS.

The room does not know clients, policies or windows, and not when a session ends. It imports nothing of `proxy`.
"""
