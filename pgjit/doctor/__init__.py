"""The doctor: what is wrong with an installation, and what a connection's login role could do on the real server.

This room decides which rights and settings are dangers, which are warnings, and which SQL takes them away. It logs in
as sessions do, queries the server's catalogs in one read-only transaction, and changes nothing. It also decides what
rights of files, dates of certificates and differences of clocks mean, which `pgjit/app/installation.py` collects.

Words:

- *subject*: the login role that is examined, the roles that it can become, and what the policies need (`subject.py`).
- *check*: one query to the server, and what its rows mean (`check.py`); the checks are in `checks/`.
- *finding*: one right or setting, how severe it is, why, and the SQL against it (`finding.py`).
- *severity*: `danger`, `warning` or `note`.
- *report*: all findings on one subject, the worst first.

Start reading with `examine.py`: it logs in (`login.py`), reads the subject, runs every check, and returns the report.
Then read one check, such as `checks/secrets.py`. `pgjit/cli/commands/doctor.py` prints the report.

INVARIANT: a query that the server refuses is itself a finding. What could not be read never counts as good.

The doctor does not know sessions, windows or the journal, and imports no proxy. It does not judge statements: it
assumes that one got through.
"""
