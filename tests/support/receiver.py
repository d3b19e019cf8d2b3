"""Somebody who is told: a web server that keeps the alerts it is sent."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

DEAD = "json://127.0.0.1:1"  # nothing listens on port 1


@contextmanager
def receiving(port: int = 0, refuse: int | list[int] = 0) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Yield the Apprise URL of a receiver and the list of what it was sent; it refuses the first messages.

    `refuse`: how many; in a list, how many of those that are to come may be set meanwhile.
    """
    received: list[dict[str, Any]] = []
    left = refuse if isinstance(refuse, list) else [refuse]

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            content = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            left[0] -= 1
            if left[0] < 0:
                received.append(content)
            self.send_response(200 if left[0] < 0 else 503)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", port), Receiver) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"json://127.0.0.1:{server.server_port}", received
        server.shutdown()
