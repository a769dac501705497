"""A client of `ii mcp` that is not ours: lists the tools, asks a question, looks at the run, searches, verifies, and makes
mistakes. Prints one JSON object.

usage: mcp_client.py II DOCS
"""

import asyncio
import json
import os
import sys

from mcp import ClientSession, StdioServerParameters
from mcp.client.stdio import stdio_client


def said(result):
    return {"error": bool(getattr(result, "isError", None) or getattr(result, "is_error", None)),
            "text": "".join(part.text for part in result.content)}


async def called(session, name, arguments):
    try:
        return said(await session.call_tool(name, arguments))
    except Exception as error:
        return {"error": True, "text": str(error)}


async def main():
    program, docs = sys.argv[1:]
    server = StdioServerParameters(command=program, args=["mcp", "--docs", docs], env=dict(os.environ))
    async with stdio_client(server) as (read, write):
        async with ClientSession(read, write) as session:
            await session.initialize()
            tools = (await session.list_tools()).tools
            answer = await called(session, "run", {"question": "Who may pause a run?"})
            run = json.loads(answer["text"])["run"]
            print(json.dumps({
                "tools": [tool.name for tool in tools],
                "run": answer,
                "status": await called(session, "status", {}),
                "one": await called(session, "status", {"run": run}),
                "search": await called(session, "search", {"query": "who may pause a run"}),
                "verify": await called(session, "verify", {"run": run}),
                "flag": await called(session, "run", {"question": "--docs=/etc"}),
                "unknown": await called(session, "delete", {"run": run}),
                "missing": await called(session, "verify", {}),
                "nothing": await called(session, "verify", {"run": "no-such-run"}),
            }))


asyncio.run(main())
