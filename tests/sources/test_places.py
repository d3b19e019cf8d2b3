import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote

import pytest
from listings import fill

from assay.errors import AssayError
from assay.sources import folder, places, table


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None: ...

    def do_GET(self) -> None:
        if "busy" in self.path:
            self.send_error(503)
        elif "moved" in self.path:
            self.send_response(302)
            self.send_header("Location", unquote(self.path.partition("?")[2]))
            self.end_headers()
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


def test_folder_that_cannot_be_listed_is_not_passed_over(tmp_path: Path, site: str) -> None:
    """A class of the set would be lost without a word."""
    fill(tmp_path, "photos/cat/1.png", "photos/busy/1.png")
    with pytest.raises(AssayError, match="photos: cannot be reached: 503"):
        folder.open_folder("folder", f"{site}/photos")
    with pytest.raises(AssayError, match="nothing: no such folder"):
        folder.open_folder("folder", f"{site}/nothing")
    with pytest.raises(AssayError, match=r"http://127.0.0.1:9/photos: cannot be reached"):
        folder.open_folder("folder", "http://127.0.0.1:9/photos")


def test_server_that_is_not_there_is_an_error() -> None:
    with pytest.raises(AssayError, match=r"http://127.0.0.1:9/t.csv: cannot be reached"):
        places.read("http://127.0.0.1:9/t.csv")


def test_unknown_kind_of_url_is_an_error() -> None:
    with pytest.raises(AssayError, match=r"nonsense://t.csv: cannot be reached: Protocol not known: nonsense"):
        places.read("nonsense://t.csv")


@pytest.fixture
def in_the_world(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take 127.0.0.1 for an address of the world, and every other for what it is."""
    of_the_world = places._of_the_world
    monkeypatch.setattr(places, "_of_the_world", lambda ip: ip == "127.0.0.1" or of_the_world(ip))


INNER = (
    "http://127.0.0.2:{}/a.png",
    "http://[0:0:0:0:0:0:0:1]:{}/a.png",
    "http://2130706434:{}/a.png",
    "//127.0.0.3:{}/a.png",
)


@pytest.mark.usefixtures("in_the_world")
@pytest.mark.parametrize("to", [*INNER, "http://169.254.169.254/latest/meta-data", "http://10.0.0.1/", "http://0:{}/"])
def test_server_of_the_world_leads_to_no_address_of_this_network(tmp_path: Path, site: str, to: str) -> None:
    fill(tmp_path, "a.png")
    to = to.format(site.rpartition(":")[2])
    asked = f"{site}/moved?{to}"
    with pytest.raises(AssayError, match=r"cannot be reached: redirects to http://.*, an address of this machine"):
        places.read(asked)
    with pytest.raises(AssayError, match=r"cannot be reached: redirects to http://.*, an address of this machine"):
        folder.open_folder("folder", asked)


@pytest.mark.usefixtures("in_the_world")
def test_a_cache_before_the_server_changes_nothing(site: str) -> None:
    with pytest.raises(AssayError, match=r"cannot be reached: redirects to http://127.0.0.2:9, an address of this"):
        places.read(f"simplecache::{site}/moved?http://127.0.0.2:9/a.png")


@pytest.mark.usefixtures("in_the_world")
def test_server_of_the_world_may_lead_elsewhere_in_it(tmp_path: Path, site: str) -> None:
    fill(tmp_path, "a.png")
    assert places.read(f"{site}/moved?/a.png") == places.read(f"{site}/moved?{site}/a.png") == b"a.png"


def test_source_that_was_named_in_this_network_may_lead_where_it_likes(tmp_path: Path, site: str) -> None:
    fill(tmp_path, "a.png")
    assert places.read(f"{site}/moved?{site.replace('127.0.0.1', 'localhost')}/a.png") == b"a.png"


@pytest.mark.parametrize(
    ("address", "of_the_world"),
    [
        ("93.184.215.14", True),
        ("2606:2800:21f:cb07:6820:80da:af6b:8b2c", True),
        ("127.0.0.1", False),
        ("0.0.0.0", False),
        ("10.1.2.3", False),
        ("172.16.0.1", False),
        ("192.168.1.1", False),
        ("169.254.169.254", False),
        ("100.64.0.1", False),
        ("::1", False),
        ("::", False),
        ("fe80::1%eth0", False),
        ("fd00::1", False),
        ("::ffff:127.0.0.1", False),
        ("2002:7f00:1::", False),
        ("224.0.0.1", False),
    ],
)
def test_addresses_that_the_world_has(address: str, of_the_world: bool) -> None:
    assert places._of_the_world(address) == of_the_world
