"""A server of the Model Context Protocol, in the standard library alone, that does whatever a call tells it to.
usage: acts.py WORD LISTING [modern]; LISTING is a file with the description of its tool. It speaks the protocol as it was
before discovery, or with `modern` as it is since."""

import json
import os
import signal
import socket
import sys
import time

WORD = sys.argv[1]
LISTING = sys.argv[2]
MODERN = sys.argv[3:] == ["modern"]
SUBSCRIPTION = "io.modelcontextprotocol/subscriptionId"
SCHEMA = {
    "type": "object",
    "properties": {"what": {"type": "string", "description": "What to do."}, "arg": {"type": "string"}},
    "required": ["what"],
    "additionalProperties": False,
}
out = sys.stdout.buffer
heard = []
answers = []
calls = 0
listening = None


def send(message):
    out.write(json.dumps({"jsonrpc": "2.0", **message}).encode() + b"\n")
    out.flush()


def note(text):
    send({"method": "notifications/message", "params": {"level": "info", "data": text}})


def forever():
    time.sleep(10**9)


def orphan():
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            os.execv("/bin/sleep", ["sleep", WORD])
        os._exit(0)
    return "left something behind"


def memory():
    kept = []
    while True:
        kept.append(bytearray(b"x" * (8 << 20)))


def forks():
    made = 0
    while True:
        try:
            if os.fork() == 0:
                forever()
            made += 1
        except OSError as error:
            return f"{made} made, then {error}"


def disk(folder):
    wrote = 0
    try:
        for number in range(10**6):
            with open(f"{folder}/{number}", "wb") as file:
                wrote += file.write(b"x" * (1 << 20))
    except OSError as error:
        return f"{wrote} bytes, then {error}"


def inodes():
    made = 0
    try:
        for number in range(10**6):
            open(f"/tmp/n{number}", "wb").close()
            made += 1
    except OSError as error:
        return f"{made} files, then {error}"


def descriptors():
    kept = []
    try:
        while True:
            kept.append(open("/dev/null"))
    except OSError as error:
        return f"{len(kept)} open, then {error}"


def read(path):
    try:
        with open(path, "rb") as file:
            return file.read(4096).decode("latin-1")
    except OSError as error:
        return f"refused: {error}"


def write(path):
    try:
        with open(path, "wb") as file:
            file.write(b"written by the server")
        return "written"
    except OSError as error:
        return f"refused: {error}"


def connect(to):
    host, port = to.rsplit(":", 1)
    try:
        socket.create_connection((host, int(port)), 3).close()
        return "connected"
    except OSError as error:
        return f"refused: {error}"


def errors():
    for _ in range(2000):
        os.write(2, b"\x1b[31mnoise\x1b[0m " * 512 + b"\n")
        note("between")
    return "both streams were read"


def ask():
    wants = [
        ("sampling/createMessage", {"messages": [], "maxTokens": 10}),
        ("elicitation/create", {"message": "Your password?", "requestedSchema": {"type": "object", "properties": {}}}),
        ("roots/list", {}),
        ("ping", {}),
    ]
    for number, (method, params) in enumerate(wants):
        send({"id": f"mine-{number}", "method": method, "params": params})
    for _ in wants:
        answers.append(json.loads(sys.stdin.buffer.readline()))
    told = {one["id"]: "error" if "error" in one else "answer" for one in answers}
    return " ".join(f"{method}={told[f'mine-{number}']}" for number, (method, _) in enumerate(wants))


def environment():
    ours = "\n".join(f"{key}={value}" for key, value in os.environ.items())
    return ours + "\n" + read("/proc/1/environ") + "\n" + read(f"/proc/{os.getppid()}/environ")


def die():
    os.write(2, b"first line\n\x1b[31mout of luck\n")
    os._exit(7)


def flood():
    while True:
        note("x" * 1000)


def tiny():
    while True:
        note("")


def long():
    while True:
        out.write(b"x" * (1 << 20))


def act(what, arg, number):
    """The answer's result, or None where there is none to send."""
    global calls
    calls += 1
    simple = {
        "count": lambda: str(calls), "orphan": orphan, "memory": memory, "forks": forks, "inodes": inodes,
        "disk": lambda: disk(arg or "/tmp"),
        "descriptors": descriptors, "read": lambda: read(arg), "write": lambda: write(arg), "connect": lambda: connect(arg),
        "errors": errors, "ask": ask, "environment": environment, "die": die, "flood": flood, "tiny": tiny, "long": long,
        "echo": lambda: arg, "heard": lambda: " ".join(heard), "much": lambda: "y" * int(arg),
    }
    if what in simple:
        return {"content": [{"type": "text", "text": simple[what]()}]}
    if what == "loop":
        while True:
            pass
    if what == "blocked":
        forever()
    if what == "slow":
        return None
    if what == "stubborn":
        # Answers nothing, reads nothing more, but is not busy.
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        forever()
    if what == "other id":
        send({"id": 10**6, "result": {"content": [{"type": "text", "text": "somebody else's"}]}})
        return None
    if what == "no id":
        send({"error": {"code": -32700, "message": "what was that?"}})
        return None
    if what == "garbage":
        out.write(b"Server \x1b[32mlistening on stdio\n")
        out.flush()
        return None
    if what == "signal":
        os.kill(os.getpid(), signal.SIGKILL)
    if what == "changed":
        # Now servers tell only those who asked for it.
        if not MODERN:
            send({"method": "notifications/tools/list_changed"})
        elif listening is not None:
            send({"method": "notifications/tools/list_changed", "params": {"_meta": {SUBSCRIPTION: listening}}})
        return {"content": [{"type": "text", "text": "this one still counts"}]}
    if what == "wrong":
        return {"content": [{"type": "text", "text": arg}], "isError": True}
    if what == "structured":
        return {"content": [], "structuredContent": {"b": 1, "a": [2]}}
    if what == "picture":
        return {"content": [{"type": "image", "mimeType": "image/png", "data": "AAECAw=="}]}
    if what == "input":
        return {"resultType": "input_required", "inputRequests": {}, "requestState": "s"}
    raise ValueError(what)


def description():
    with open(LISTING) as file:
        return file.read()


def main():
    global listening
    for line in sys.stdin.buffer:
        message = json.loads(line)
        method, number = message.get("method"), message.get("id")
        if number is None:
            heard.append(method)
        elif method == "server/discover" and MODERN:
            send({"id": number, "result": {
                "resultType": "complete", "supportedVersions": ["2026-07-28"], "ttlMs": 0, "cacheScope": "private",
                "capabilities": {"tools": {"listChanged": True}},
            }})
        elif method == "subscriptions/listen" and MODERN:
            listening = number
            accepted = {"_meta": {SUBSCRIPTION: number}, "notifications": {"toolsListChanged": True}}
            send({"method": "notifications/subscriptions/acknowledged", "params": accepted})
        elif method == "initialize":
            send({"id": number, "result": {
                "protocolVersion": message["params"]["protocolVersion"],
                "capabilities": {"tools": {"listChanged": True}},
                "serverInfo": {"name": "acts", "version": "1"},
            }})
        elif method == "tools/list":
            send({"id": number, "result": {"tools": [
                {"name": "act", "description": description(), "inputSchema": SCHEMA},
                {"name": "Bad Name", "description": "is not offered", "inputSchema": SCHEMA},
            ]}})
        elif method == "tools/call":
            given = message["params"]["arguments"]
            try:
                result = act(given["what"], given.get("arg"), number)
            except ValueError as error:
                send({"id": number, "error": {"code": -32602, "message": f"no such act: {error}"}})
                continue
            if result is not None:
                send({"id": number, "result": result})
        else:
            send({"id": number, "error": {"code": -32601, "message": f"no {method}"}})


main()
