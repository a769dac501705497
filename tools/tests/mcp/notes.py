"""A server made with PyPI's `mcp`. usage: notes.py SITE stdio|http; over HTTP it prints its port."""

import socket
import sys

sys.path.insert(0, sys.argv[1])

import anyio
from mcp.server.mcpserver import Image, MCPServer
from mcp.server.mcpserver.exceptions import ToolError

server = MCPServer("notes", version="1", log_level="ERROR")
kept = []
given_up = []


@server.tool()
def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


@server.tool()
def remember(text: str) -> str:
    """Keep a text, and say how many there are."""
    kept.append(text)
    return f"{len(kept)} kept"


@server.tool()
def fail(why: str) -> str:
    """Fail."""
    raise ToolError(why)


@server.tool()
def read(path: str) -> str:
    """Read a file."""
    with open(path) as file:
        return file.read()


@server.tool()
def picture() -> Image:
    """A picture."""
    return Image(data=b"\x89PNG", format="png")


@server.tool()
async def slow(seconds: float) -> str:
    """Take some time."""
    try:
        await anyio.sleep(seconds)
    except anyio.get_cancelled_exc_class():
        given_up.append(seconds)
        raise
    return "done"


@server.tool()
def cancelled() -> str:
    """How many slow calls were given up."""
    return f"{len(given_up)} given up"


if sys.argv[2] == "stdio":
    server.run("stdio")
else:
    import uvicorn

    listening = socket.socket()
    listening.bind(("127.0.0.1", 0))
    listening.listen()
    port = listening.getsockname()[1]
    app = server.streamable_http_app(host="127.0.0.1")
    print(port, flush=True)
    uvicorn.Server(uvicorn.Config(app, log_level="error")).run(sockets=[listening])
