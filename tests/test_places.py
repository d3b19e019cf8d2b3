import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from test_source import fill

from assay import folder, places, table
from assay.errors import AssayError


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None: ...

    def do_GET(self) -> None:
        if "busy" in self.path:
            self.send_error(503)
        else:
            super().do_GET()


@pytest.fixture
def site(tmp_path: Path) -> Iterator[str]:
    """The address of a server of `tmp_path`."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(tmp_path)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_table_on_a_server_is_read_with_its_images(tmp_path: Path, site: str) -> None:
    fill(tmp_path, "photos/ü 1#%20.png", "photos/b.png")
    (tmp_path / "photos/t.csv").write_text("path,label\nü 1#%20.png,cat\nb.png,dog\ngone.png,dog\n")
    images = table.open_table("table", f"{site}/photos/t.csv?of=in/May", {})
    entries = {entry.path: entry for entry in images.entries}
    assert images.read(entries["ü 1#%20.png"]) == "photos/ü 1#%20.png".encode()
    assert images.read(entries["b.png"]) == b"photos/b.png"
    with pytest.raises(OSError, match="no such file"):
        images.read(entries["gone.png"])


def test_folder_on_a_server_with_index_pages_is_listed_and_read(tmp_path: Path, site: str) -> None:
    fill(tmp_path, "photos/cat/1.png", "photos/dog/a b.png", "other/3.png")
    images = folder.open_folder("folder", f"{site}/photos")
    assert {entry.path: images.read(entry) for entry in images.entries} == {
        "cat/1.png": b"photos/cat/1.png",
        "dog/a b.png": b"photos/dog/a b.png",
    }


def test_server_that_fails_stops_the_run_and_is_not_taken_for_a_missing_image(site: str) -> None:
    with pytest.raises(AssayError, match="cannot be reached: 503"):
        places.read(f"{site}/busy.png")


def test_server_that_is_not_there_is_an_error() -> None:
    with pytest.raises(AssayError, match=r"http://127.0.0.1:9/t.csv: cannot be reached"):
        places.read("http://127.0.0.1:9/t.csv")


def test_unknown_kind_of_url_is_an_error() -> None:
    with pytest.raises(AssayError, match=r"nonsense://t.csv: cannot be reached: Protocol not known: nonsense"):
        places.read("nonsense://t.csv")
