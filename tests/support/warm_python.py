"""What stands for `python` in a warm environment (warm.py): hands `python -m` over, waits, and ends as that does."""

import json
import os
import socket
import sys

arguments, place = sys.argv[1:], os.environ.get("WARM_PYTHON")
ours = arguments[:1] == ["-m"] and arguments[1].split(".")[0] in ("assay", "dvc", "flows", "step", "tasks")
# These are about the process itself: one answers without TensorFlow, the other lets nothing but JSON reach its output.
cold = arguments[1:2] == ["assay.inference.parity"] or arguments[1:3] == ["dvc", "plots"]
if cold or not (place and ours):
    os.execv(sys.executable, [sys.executable, *arguments])
with socket.socket(socket.AF_UNIX) as connection:
    connection.connect(place)
    socket.send_fds(connection, [b"."], [0, 1, 2])
    # No pathlib: it would take longer than all else.
    wanted = {"arguments": arguments[1:], "folder": os.getcwd(), "environment": dict(os.environ)}  # noqa: PTH109
    wanted["parent"] = os.getppid()
    connection.sendall(json.dumps(wanted).encode() + b"\n")
    code = int(connection.recv(16) or 1)
if code < 0:
    os.kill(os.getpid(), -code)
sys.exit(code)
