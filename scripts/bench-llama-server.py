"""Eight requests at once at llama-server, which share a beginning: the same numbers as `agent-runtime/benches/llama.rs` has.

usage: bench-llama-server.py PROGRAM FILE.gguf THREADS
"""

import concurrent.futures
import json
import socket
import statistics
import subprocess
import sys
import time
import urllib.error
import urllib.request

REQUESTS, SHARED, OWN, WRITTEN, ROUNDS = 8, 2000, 100, 64, 1
LETTERS = "bcdfgjklmpqsuvwxyz"


def letters(count, seed):
    return "".join(LETTERS[(at * 7 + at // 11 + seed * 13 + at * seed) % len(LETTERS)] for at in range(count))


def main():
    program, file, threads = sys.argv[1:]
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [program, "-m", file, "-t", threads, "-np", str(REQUESTS), "-c", "32768"]
    server = subprocess.Popen(
        [*command, "--host", "127.0.0.1", "--port", str(port)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        wait(port)
        times = []
        for number in range(ROUNDS):
            prompts = [letters(SHARED, 100 + number) + letters(OWN, 200 + request) for request in range(REQUESTS)]
            began = time.monotonic()
            with concurrent.futures.ThreadPoolExecutor(REQUESTS) as pool:
                written = sum(pool.map(lambda prompt: complete(port, prompt), prompts))
            if written != REQUESTS * WRITTEN:
                sys.exit(f"{written} tokens were written, not {REQUESTS * WRITTEN}")
            times.append(time.monotonic() - began)
        middle = statistics.median(times)
        print(f"together: {middle:.2f} s, {REQUESTS * WRITTEN / middle:.1f} tokens/s written")
    finally:
        server.terminate()
        server.wait()


def wait(port):
    for _ in range(600):
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/health").read()
            return
        except (urllib.error.URLError, ConnectionError):
            time.sleep(0.1)
    sys.exit("llama-server did not start within a minute")


def complete(port, prompt):
    body = {"prompt": prompt, "n_predict": WRITTEN, "ignore_eos": True, "cache_prompt": True, "temperature": 0}
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/completion", json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)["tokens_predicted"]


main()
