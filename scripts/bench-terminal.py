#!/usr/bin/env python3
"""Times `ii` in a pseudo-terminal: from the start to the composer on the screen, then at rest its memory, its processor
time and the bytes it writes. Beside it, the floor: a program that does nothing, started and ended in the same way.

usage: bench-terminal.py [PROGRAM [ROUNDS]]
"""
import fcntl
import os
import pty
import select
import signal
import statistics
import struct
import sys
import tempfile
import termios
import time

program = os.path.abspath(sys.argv[1] if len(sys.argv) > 1 else "target/debug/ii")
rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 9
REST = 5.0


def start(command, home):
    """A process in a terminal of 80 by 24; its id, and the other end."""
    child, end = pty.fork()
    if child == 0:
        environment = {"II_HOME": home, "TERM": "xterm-256color", "LANG": "C.UTF-8", "PATH": os.environ["PATH"]}
        os.execve(command, [command], environment)
    fcntl.ioctl(end, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    return child, end


def read(end, wait):
    """What the terminal got within so many seconds; none where it is gone."""
    if not select.select([end], [], [], wait)[0]:
        return b""
    try:
        return os.read(end, 65536)
    except OSError:
        return None


def field(child, name):
    with open(f"/proc/{child}/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith(name))


def ticks(child):
    with open(f"/proc/{child}/stat") as stat:
        fields = stat.read().rsplit(") ", 1)[1].split()
        return int(fields[11]) + int(fields[12])


def floor():
    began = time.perf_counter()
    child, end = start("/bin/true", "/")
    while read(end, 5.0):
        pass
    os.waitpid(child, 0)
    os.close(end)
    return (time.perf_counter() - began) * 1000


def once():
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        child, end = start(program, os.path.join(folder, "home"))
        seen = b""
        while b"ask something" not in seen:
            more = read(end, 30.0)
            if not more:
                sys.exit(f"no composer: {seen!r}")
            seen += more
        shown = (time.perf_counter() - began) * 1000
        settled = time.perf_counter() + 2.0
        while time.perf_counter() < settled:
            read(end, 0.1)
        before, written, until = ticks(child), 0, time.perf_counter() + REST
        while time.perf_counter() < until:
            written += len(read(end, 0.1) or b"")
        used = (ticks(child) - before) * 1000 / os.sysconf("SC_CLK_TCK") / (REST * 1000) * 100
        memory = field(child, "VmRSS") / 1024
        os.kill(child, signal.SIGTERM)
        while read(end, 5.0):
            pass
        os.waitpid(child, 0)
        os.close(end)
        return shown, memory, used, written


floors, found = [], []
for _ in range(rounds):
    floors.append(floor())
    found.append(once())
shown, memory, used, written = zip(*found)
print(f"{program}, {rounds} rounds, load {os.getloadavg()[0]:.1f}")
print(f"composer on the screen   {statistics.median(shown):7.1f} ms   (longest {max(shown):.1f}; floor: `true` {statistics.median(floors):.1f})")
print(f"memory at rest           {statistics.median(memory):7.1f} MiB")
print(f"processor at rest        {statistics.median(used):7.2f} %")
print(f"bytes at rest            {max(written):7d}   in {REST:.0f} s")
