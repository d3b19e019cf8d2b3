"""Memory of `assay serve` over many requests: `python benchmarks/serve.py EXPORT [REQUESTS]`.

Real bytes over loopback, from a process of its own, eight at a time; each answer is looked at. The images are the
difficult files, so every decoder has its turn, and one in ten is broken.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor

import psutil

from assay.inference import difficult

AT_ONCE, PARTS = 8, 10


def main() -> None:
    export, n_requests = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 20_000
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "assay", "serve", "--model", export, "--port", str(port)]
    server = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    try:
        load(server.pid, f"http://127.0.0.1:{port}", n_requests)
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait()


def load(process: int, url: str, n_requests: int) -> None:
    while not is_ready(url):
        time.sleep(0.1)
    watched = psutil.Process(process)
    contents = [content for name, content in difficult.files().items() if name != "huge.jpg"]
    print("| requests | RSS MB | CPU ms a request |\n|---|---|---|")
    print(f"| 0 | {watched.memory_info().rss / 1e6:.0f} | |")
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for part in range(PARTS):
            before = sum(watched.cpu_times()[:2])
            numbers = range(n_requests // PARTS)
            found = list(pool.map(lambda n: asked(url, contents[n % len(contents)], n), numbers))
            assert set(found) == {200}, set(found)
            spent = (sum(watched.cpu_times()[:2]) - before) / len(found)
            n_done = (part + 1) * len(found)
            print(f"| {n_done:,} | {watched.memory_info().rss / 1e6:.0f} | {1000 * spent:.1f} |", flush=True)


def is_ready(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/readyz", timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def asked(url: str, content: bytes, number: int) -> int:
    """Return the status of a request, every fourth of which wants an explanation too."""
    broken = content[: len(content) // 2] if number % 10 == 9 else content
    wanted = f"{url}/predict{'?explain=true' if number % 4 == 0 else ''}"
    request = urllib.request.Request(wanted, broken, {"content-type": "image/png"})
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            json.load(answer)
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


if __name__ == "__main__":
    os.environ.pop("ASSAY_TOKEN", None)
    main()
