"""A server over HTTP as it was before discovery, in the standard library alone, with sessions and event streams. Prints its
port. Its paths: /mcp behaves; /redirect, /flood, /endless, /silent and /html do not."""

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

SCHEMA = {"type": "object", "properties": {"what": {"type": "string"}}, "required": ["what"]}
changed = threading.Event()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def answer(self, status, kind, body, **headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def stream(self, events):
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("connection", "close")
        self.end_headers()
        self.close_connection = True
        for event in events:
            self.wfile.write(event)
            self.wfile.flush()

    def message(self, number, result):
        return json.dumps({"jsonrpc": "2.0", "id": number, "result": result}).encode()

    def do_DELETE(self):
        self.answer(200, "text/plain", b"")

    def do_GET(self):
        changed.wait(30)
        self.stream([b'data: {"jsonrpc":"2.0","method":"notifications/tools/list_changed"}\n\n'])

    def do_POST(self):
        message = json.loads(self.rfile.read(int(self.headers["content-length"])))
        method, number = message.get("method"), message.get("id")
        if number is None:
            return self.answer(202, "text/plain", b"")
        if method == "initialize":
            result = {
                "protocolVersion": message["params"]["protocolVersion"],
                "capabilities": {"tools": {"listChanged": True}},
                "serverInfo": {"name": "web", "version": "1"},
            }
            return self.answer(200, "application/json", self.message(number, result), mcp_session_id="one")
        if self.headers.get("mcp-session-id") != "one":
            return self.answer(400, "text/plain", b"no session")
        if method == "tools/list":
            tools = [{"name": "act", "description": "Does what it is told.", "inputSchema": SCHEMA}]
            return self.answer(200, "application/json", self.message(number, {"tools": tools}))
        what = message["params"]["arguments"]["what"]
        if what == "redirect":
            return self.answer(307, "text/plain", b"", location="http://169.254.169.254/latest")
        if what == "html":
            return self.answer(200, "text/html", b"<p>not a message</p>")
        if what == "teapot":
            return self.answer(418, "text/plain", b"\x1b[31mno tea")
        if what == "flood":
            note = json.dumps({"jsonrpc": "2.0", "method": "notifications/message", "params": {"level": "info", "data": "x" * 1000}})
            return self.stream(f"data: {note}\n\n".encode() for _ in range(10**9))
        if what == "endless":
            return self.stream(b"x" * (1 << 20) for _ in range(10**9))
        if what == "silent":
            time.sleep(10**6)
        if what == "change":
            changed.set()
        text = self.headers.get("authorization", "none") if what == "authorization" else f"did {what}"
        result = self.message(number, {"content": [{"type": "text", "text": text}]})
        self.stream([b": a comment\n\n", b"data: " + result + b"\n\n"])


server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
server.daemon_threads = True
print(server.server_address[1], flush=True)
server.serve_forever()
