"""What is refused before a statement is parsed: text that would take the parser too much time or memory.

PostgreSQL's lexer and parser run in this process, and the text comes from an untrusted client. Some short texts take
minutes to lex, or become a tree of hundreds of megabytes. They are found by their text alone and refused.

Words:
- guard: a check on text, which takes time in proportion to its length and never calls the parser.
- quadratic lexing: a run of operator characters that the lexer reads again and again.
- oversized tree: a text whose syntax tree is many times its size.
- too deep: nesting beyond the limits of the parser or of the JSON reader (reference `statement-too-deep`).
- too wide: a multiple assignment, which repeats its query for each column (reference `statement-too-large`).

A reader starts in `check_text.py`: `check_text` runs every guard before the parser, `check_tree_size` looks at its
output. `quadratic_lexing.py` and `oversized_tree.py` have one guard each, with the measurements behind its limit.
`pgjit.sql.parse` calls them, and is the only caller.

A guard may refuse a harmless text of an unusual form. It must never pass a harmful one.

It does not know the syntax tree, the catalog, or the policy. How long a statement may be is the policy's decision
(`pgjit.judging` checks it, with the encoding of the bytes); how many statements a message may hold is checked in
`pgjit.sql.parse`, after parsing.
"""
