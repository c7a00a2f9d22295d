"""mcp-alchemy: an agent's client starts the server, lists its tools and calls each of them."""

from __future__ import annotations

import asyncio
import os
import sys

import place
from mcp import ClientSession, StdioServerParameters, stdio_client

CALLS = [
    ("all_table_names", {}),
    ("filter_table_names", {"q": "rem"}),
    ("schema_definitions", {"table_names": ["remarks", "people"]}),
    ("execute_query", {"query": "SELECT id, state, placed FROM app.orders ORDER BY id LIMIT 3"}),
    ("execute_query", {"query": "SELECT name FROM app.users WHERE id = :id", "params": {"id": 3}}),
]
WRITE = ("execute_query", {"query": "INSERT INTO public.remarks VALUES (1)"})


async def main() -> None:
    environment = {**os.environ, "DB_URL": place.url("postgresql+psycopg2")}
    program = [sys.executable, "-c", "from mcp_alchemy.server import main; main()"]
    server = StdioServerParameters(command=program[0], args=program[1:], env=environment)
    async with stdio_client(server) as (reader, writer), ClientSession(reader, writer) as session:
        await session.initialize()
        print("tools", sorted(tool.name for tool in (await session.list_tools()).tools))
        for name, arguments in CALLS:
            done = await session.call_tool(name, arguments)
            print(name, [line for part in done.content for line in part.text.splitlines()])
        done = await session.call_tool(*WRITE)
        print("write", done.content[0].text.splitlines()[:1])


asyncio.run(main())
