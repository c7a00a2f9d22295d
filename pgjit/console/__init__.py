"""The console: pages in a browser for reviewers, people on call, DBAs and auditors.

This room decides how people sign in, how long they stay signed in, and how what the HTTP API knows is shown. It
decides nothing about requests, windows or records: every page calls the HTTP API, in the same process, with the
access token of the person who is signed in. So roles, records, limits and refusals are the API's, and exist once.

Words:

- *person*: who is signed in. Apps and agents cannot sign in.
- *sign-in*: the state that a cookie stands for, kept in the store, with the person's tokens sealed in it.
- *page*: one request of a signed-in person, and the module that serves it (`pages/`).
- *form*: the body of a POST, checked for its CSRF token before anything reads it.

Start reading with `console_http.py` (how the console is put together), then `page.py` and `form.py`, which pages are
written against, and `pages/__init__.py`, the table of pages. Signing in is `provider_login.py` (the authorization
code flow), `sign_ins.py` (who is signed in) and `cookie_secret.py` (what a cookie proves). `browser_rules.py` has the
headers and the check for cross-site calls.

INVARIANT: no page is served to anybody but a signed-in person. A GET changes nothing. Nothing is changed by a call
that another site made a browser send.
"""
