"""Commands in Python that begin at once: forks of one process that has imported what takes seconds to import.

Great Expectations, TensorFlow and DVC cost each process up to 5 s, and a run of the pipeline is ten processes. A fork
is a process all the same: it has its own folder, environment, streams and exit code, and imports the modules of the
checkout that it runs in. Only its parent is another, and its sets have the order of those of its siblings. So what
kills processes, and what compares the bytes that two of them make, takes real ones.
"""

import atexit
import gc
import json
import logging
import os
import runpy
import select
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from contextlib import suppress
from functools import cache
from importlib import import_module
from pathlib import Path

PLACE = "WARM_PYTHON"  # names the socket, in the environment of a command and of all that it starts
SHARED = "WARM_SHARED"  # names the folder of the process that all workers of pytest ask
START_S = 300  # it takes 10; beyond this an import has failed, as its log says
# Read by these when they are imported.
SETTINGS = {
    "DO_NOT_TRACK": "1",
    "GX_ANALYTICS_ENABLED": "false",
    "TF_CPP_MIN_LOG_LEVEL": "2",
    "TF_ENABLE_ONEDNN_OPTS": "1",
}
ALWAYS = (
    *(
        "apprise",
        "click",
        "configobj",
        "dulwich.index",
        "dulwich.worktree",
        "dvc.api",
        "dvc.cachemgr",
        "dvc.cli.parser",
    ),
    *("dvc.commands.repro", "dvc.data_cloud", "dvc.dirs", "dvc.repo.graph", "dvc.repo.index", "dvc.repo.metrics.diff"),
    *("dvc.repo.params.diff", "dvc.repo.plots", "dvc.repo.reproduce", "dvc.repo.stage", "dvc.repo.status", "dvc.scm"),
    *("dvc.repo.artifacts", "dvc.repo.brancher", "dvc.repo.open_repo", "dvc.repo.trie", "dvc.utils.strictyaml"),
    *("dvc.repo.datasets", "dvc_data.hashfile.status", "dvc_data.index", "google_crc32c", "gto", "jinja2", "networkx"),
    *(
        "dvc_data.fs",
        "dvc_data.hashfile.gc",
        "dvc_data.index.checkout",
        "dulwich.ignore",
        "fsspec.implementations.memory",
    ),
    *(
        "pandas",
        "PIL.ImageCms",
        "PIL.ImageDraw",
        "PIL.ImageFont",
        "PIL.ImageOps",
        "PIL.JpegImagePlugin",
        "PIL.PngImagePlugin",
        "pyarrow.csv",
        "pyarrow.dataset",
        "pyarrow.parquet",
        "pydantic",
    ),
    *("pygit2", "pyparsing", "scipy.stats", "scmrepo.fs", "scmrepo.git.backend.pygit2.filter", "sklearn.linear_model"),
    *("sklearn.metrics", "sklearn.pipeline", "zc.lockfile"),
)
LARGE = {  # imported when the first command of that name comes
    "great_expectations": ("tasks.validate", "tasks.verify"),
    "prefect.flow_engine": ("flows.pipeline", "flows.retrain"),
    "prefect.task_engine": ("flows.pipeline", "flows.retrain"),
    "prefect.deployments": ("flows.pipeline", "flows.retrain"),
    "graphviz": ("flows.pipeline", "flows.retrain"),  # these two are asked for by a flow that runs
    "fastapi": ("flows.pipeline", "flows.retrain"),
    "onnx": ("tasks.register",),
    "keras": ("tasks.train", "tasks.evaluate", "tasks.register"),
    "tensorflow": ("tasks.train", "tasks.evaluate", "tasks.register"),
    "onnxruntime": ("tasks.register",),  # not tf2onnx too: it sets up the logging of all that is imported later
}


def added(environment: dict[str, str]) -> dict[str, str]:
    """Return the variables with those that make every `python -m` of this project or of DVC a fork.

    Elsewhere than on Linux none does: macOS ends forks of a process that has threads. Nowhere does DVC tell its makers
    of a command, for which it starts another process that takes as long as the command.
    """
    environment = environment | {"DVC_NO_ANALYTICS": "1"}
    if sys.platform != "linux":
        return environment
    return environment | {
        "PATH": f"{python().parent}{os.pathsep}{environment['PATH']}",
        PLACE: str(python().parent / "socket"),
    }


@cache
def python() -> Path:
    """Return what stands for Python, once the process is there that it asks."""
    folder = Path(os.environ[SHARED]) if SHARED in os.environ else start()
    began = time.monotonic()
    while not (folder / "socket").exists():
        assert time.monotonic() < began + START_S, (folder / "log").read_text()
        time.sleep(0.05)
    return folder / "python"


def share() -> None:
    """Start the process, which takes seconds to be there, for all processes that this one starts."""
    if sys.platform == "linux":
        os.environ[SHARED] = str(start())


def start() -> Path:
    """Return the folder of a process that will be there soon, and that ends with this one."""
    folder = Path(tempfile.mkdtemp(prefix="warm"))
    command = shlex.join([sys.executable, "-IS", str(Path(__file__).with_name("warm_python.py"))])
    (folder / "python").write_text(f'#!/bin/sh\nexec {command} "$@"\n')
    (folder / "python").chmod(0o755)
    clean = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen(
            [sys.executable, __file__, str(folder / "socket")],
            env=clean | SETTINGS,
            stdin=subprocess.PIPE,  # ends when this process does, and then the server does too
            stdout=log,
            stderr=log,
            start_new_session=True,  # an interrupt at the terminal is for pytest
        )
    atexit.register(stop, server, folder)
    return folder


def stop(server: subprocess.Popen[bytes], folder: Path) -> None:
    assert server.stdin
    server.stdin.close()
    server.wait()
    shutil.rmtree(folder)


def serve(place: str) -> None:
    """Fork for each command that comes to the socket, until stdin ends."""
    paths = sys.path[1:]
    load(*ALWAYS)
    sys.modules["PIL.Image"].init()  # of all formats
    sys.modules["dvc.cli.parser"].get_main_parser()  # of 100 commands: kept, for it takes a tenth of a second to make
    gc.freeze()
    ended, end = socket.socketpair()
    end.setblocking(False)
    signal.set_wakeup_fd(end.fileno())
    signal.signal(signal.SIGCHLD, lambda *_: None)
    running: dict[int, socket.socket] = {}
    server = socket.socket(socket.AF_UNIX)
    server.bind(f"{place}.new")
    server.listen(64)
    Path(f"{place}.new").rename(place)  # now there is one that answers
    while 0 not in (ready := select.select([server, ended, 0, *running.values()], [], [])[0]):
        if server in ready:
            connection, _ = server.accept()
            _, streams, _, _ = socket.recv_fds(connection, 1, 3)
            wanted = json.loads(connection.makefile().readline())
            load(*(name for name, commands in LARGE.items() if wanted["arguments"][0] in commands))
            child = os.fork()
            if not child:
                for each in (server, ended, end, connection, *running.values()):
                    each.close()
                become(streams, paths, **wanted)
            for stream in streams:
                os.close(stream)
            running[child] = connection
        if ended in ready:
            ended.recv(4096)
            answer(running)
        for child, connection in running.items():
            if connection in ready:  # who waits for it was killed
                os.kill(child, signal.SIGKILL)


def load(*names: str) -> None:
    if new := [name for name in names if name not in sys.modules]:
        for name in new:
            import_module(name)
        gc.freeze()


def answer(running: dict[int, socket.socket]) -> None:
    """Tell those who wait for a fork that has ended its exit code."""
    while running and (found := os.waitpid(-1, os.WNOHANG))[0]:
        with running.pop(found[0]) as connection, suppress(BrokenPipeError):
            connection.sendall(str(os.waitstatus_to_exitcode(found[1])).encode())


def become(
    streams: list[int], paths: list[str], parent: int, arguments: list[str], folder: str, environment: dict[str, str]
) -> None:
    """Be `python -m ARGUMENTS`, from its begin to its end."""
    # What was imported here for other commands has added handlers; a process of its own begins without.
    logging.root.handlers = prefects() if arguments[0] in LARGE["prefect.flow_engine"] else []
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    sys.stdin, sys.stdout = os.fdopen(0), os.fdopen(1, "w", 1 if "PYTHONUNBUFFERED" in environment else -1)
    sys.stderr = os.fdopen(2, "w", buffering=1, errors="backslashreplace")
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv, sys.executable = list(arguments), str(Path(environment[PLACE]).with_name("python"))
    os.getppid = lambda: parent  # of who stands for this process: a stage asks
    own = environment.get("PYTHONPATH")
    sys.path[:] = [folder, *(own.split(os.pathsep) if own else []), *paths]
    if context := sys.modules.get("prefect.context"):
        context.refresh_global_settings_context()
    code = outcome(arguments[0])
    threading._shutdown()
    atexit._run_exitfuncs()
    sys.stdout.flush()
    os._exit(code)  # to take all apart that was imported costs a quarter of a second


def prefects() -> list[logging.Handler]:
    """Return the handlers of the root logger that Prefect sets once for a process, when it is imported."""
    return [each for each in logging.root.handlers if type(each).__module__.startswith("prefect.")]


def outcome(module: str) -> int:
    """Return the exit code of `python -m MODULE`; what Python prints of an exception is printed."""
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    except SystemExit as end:
        if end.code is None or isinstance(end.code, int):
            return end.code or 0
        print(end.code, file=sys.stderr)
        return 1
    except BaseException:
        traceback.print_exc()
        return 1
    return 0


if __name__ == "__main__":
    serve(sys.argv[1])
