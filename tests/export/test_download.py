"""A download is whole and right, or it is not there; what has come of it is not asked for again."""

import fcntl
import hashlib
import random
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from export import download as module
from export.download import ATTEMPTS, LEAST_PROGRESS, Remote, download, make_client
from export.errors import DownloadFailed
from tests.export.shelf import Shelf, serving

CONTENT = random.Random(0).randbytes(5 * LEAST_PROGRESS)
OTHER = random.Random(1).randbytes(5 * LEAST_PROGRESS)
HALF = len(CONTENT) // 2
NAME = "weights.pt"


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


@pytest.fixture
def shelf() -> Iterator[Shelf]:
    with serving(Shelf(CONTENT)) as running:
        yield running


class Fetcher:
    """Downloads from a shelf into a folder, and notes how long it would have waited between attempts."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.waited: list[float] = []
        self.metered: list[tuple[int, int | None]] = []

    def __call__(self, url: str, content: bytes = CONTENT) -> Path:
        remote = Remote(url, NAME, hashlib.sha256(content).hexdigest()[:8])
        with make_client() as client:
            return download(remote, self.folder, client=client, meter=self.meter, wait=self.waited.append)

    def meter(self, done: int, total: int | None) -> None:
        self.metered.append((done, total))

    @property
    def left(self) -> set[str]:
        return {path.name for path in self.folder.iterdir()} - {"lock"}


@pytest.fixture
def fetcher(tmp_path: Path) -> Fetcher:
    return Fetcher(tmp_path / "cache")


def test_a_file_arrives_whole_and_alone_and_the_meter_counts_its_bytes(shelf: Shelf, fetcher: Fetcher) -> None:
    assert fetcher(shelf.url).read_bytes() == CONTENT
    assert fetcher.left == {NAME}
    assert fetcher.metered[0] == (0, len(CONTENT))
    assert fetcher.metered[-1] == (len(CONTENT), len(CONTENT))
    assert shelf.requests[0]["Accept-Encoding"] == "identity"
    assert shelf.requests[0]["User-Agent"].startswith("srserve/")


def test_a_file_that_is_there_is_not_asked_for_again(shelf: Shelf, fetcher: Fetcher) -> None:
    fetcher(shelf.url)
    assert fetcher(shelf.url).read_bytes() == CONTENT
    assert len(shelf.requests) == 1


def test_a_file_that_was_damaged_since_is_downloaded_again(shelf: Shelf, fetcher: Fetcher) -> None:
    fetcher(shelf.url).write_bytes(OTHER)
    assert fetcher(shelf.url).read_bytes() == CONTENT


def test_a_cut_connection_is_resumed_at_the_very_byte(shelf: Shelf, fetcher: Fetcher) -> None:
    shelf.cuts = [HALF, LEAST_PROGRESS + 1]
    assert fetcher(shelf.url).read_bytes() == CONTENT
    assert shelf.ranges_asked == [None, f"bytes={HALF}-", f"bytes={HALF + LEAST_PROGRESS + 1}-"]
    assert [request.get("If-Range") for request in shelf.requests] == [None, shelf.etag, shelf.etag]
    assert fetcher.waited == [1.0, 1.0]
    assert fetcher.left == {NAME}


def test_the_files_date_names_its_version_where_there_is_no_strong_etag(shelf: Shelf, fetcher: Fetcher) -> None:
    shelf.etag, shelf.last_modified, shelf.cuts = 'W/"weak"', "Wed, 21 Oct 2015 07:28:00 GMT", [HALF]
    assert fetcher(shelf.url).read_bytes() == CONTENT
    assert shelf.requests[1]["If-Range"] == shelf.last_modified
    assert shelf.ranges_asked[1] == f"bytes={HALF}-"


def test_a_download_goes_on_in_a_later_call(shelf: Shelf, fetcher: Fetcher) -> None:
    def press_ctrl_c(done: int, total: int | None) -> None:
        if done >= HALF:
            raise KeyboardInterrupt

    remote = Remote(shelf.url, NAME, hashlib.sha256(CONTENT).hexdigest()[:8])
    with make_client() as client, pytest.raises(KeyboardInterrupt):
        download(remote, fetcher.folder, client=client, meter=press_ctrl_c)
    assert fetcher.left == {f"{NAME}.partial", f"{NAME}.partial.etag"}
    there = (fetcher.folder / f"{NAME}.partial").stat().st_size
    assert there >= HALF
    assert fetcher(shelf.url).read_bytes() == CONTENT
    assert shelf.ranges_asked == [None, f"bytes={there}-"]
    assert fetcher.metered[0] == (there, len(CONTENT))


@pytest.mark.parametrize("change", [{"etag": None}, {"ranges": False}], ids=["no-version", "no-ranges"])
def test_where_it_cannot_be_resumed_it_begins_again(shelf: Shelf, fetcher: Fetcher, change: dict[str, object]) -> None:
    vars(shelf).update(change)
    shelf.cuts = [HALF]
    assert fetcher(shelf.url).read_bytes() == CONTENT
    assert len(shelf.requests) == 2


def interrupted(shelf: Shelf, fetcher: Fetcher) -> None:
    """Leaves half of the file behind."""
    shelf.cuts, shelf.statuses = [HALF], [200, 404]
    with pytest.raises(DownloadFailed, match="404"):
        fetcher(shelf.url)
    assert (fetcher.folder / f"{NAME}.partial").stat().st_size == HALF
    shelf.requests.clear()


def test_a_file_that_has_changed_since_begins_again(shelf: Shelf, fetcher: Fetcher) -> None:
    interrupted(shelf, fetcher)
    shelf.content, shelf.etag = OTHER, '"version-2"'
    assert fetcher(shelf.url, OTHER).read_bytes() == OTHER
    assert len(shelf.requests) == 1


def test_a_server_that_mixes_two_versions_is_asked_for_the_whole(shelf: Shelf, fetcher: Fetcher) -> None:
    interrupted(shelf, fetcher)
    shelf.content, shelf.etag, shelf.ignores_if_range = OTHER, '"version-2"', True
    assert fetcher(shelf.url, OTHER).read_bytes() == OTHER
    assert shelf.ranges_asked == [f"bytes={HALF}-", None]


def test_a_file_that_has_become_shorter_is_asked_for_again(shelf: Shelf, fetcher: Fetcher) -> None:
    interrupted(shelf, fetcher)
    shelf.content, shelf.ignores_if_range = OTHER[:HALF], True
    assert fetcher(shelf.url, OTHER[:HALF]).read_bytes() == OTHER[:HALF]
    assert shelf.ranges_asked == [f"bytes={HALF}-", None]


def test_another_part_than_was_asked_for_is_not_used(shelf: Shelf, fetcher: Fetcher) -> None:
    interrupted(shelf, fetcher)
    shelf.shifted = 1
    assert fetcher(shelf.url).read_bytes() == CONTENT
    assert shelf.ranges_asked == [f"bytes={HALF}-", None]


def test_a_server_that_hands_out_ranges_in_pieces_is_asked_for_the_next(shelf: Shelf, fetcher: Fetcher) -> None:
    interrupted(shelf, fetcher)
    shelf.piece = 2 * LEAST_PROGRESS
    assert fetcher(shelf.url).read_bytes() == CONTENT
    assert shelf.ranges_asked == [f"bytes={HALF}-", f"bytes={HALF + shelf.piece}-"]


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_server_that_is_busy_is_asked_again_later_and_later(shelf: Shelf, fetcher: Fetcher, status: int) -> None:
    shelf.statuses = [status] * (ATTEMPTS - 1)
    assert fetcher(shelf.url).read_bytes() == CONTENT
    assert fetcher.waited == [1.0, 2.0, 4.0, 8.0]


@pytest.mark.parametrize(
    ("said", "waited"),
    [("7", 7.0), ("86400", 60.0), ("Wed, 21 Oct 2015 07:28:00 GMT", 0.0), ("soon", 1.0)],
    ids=["seconds", "a-day", "a-past-date", "nonsense"],
)
def test_the_server_may_say_when_to_come_back(shelf: Shelf, fetcher: Fetcher, said: str, waited: float) -> None:
    shelf.statuses, shelf.headers = [503], {"Retry-After": said}
    fetcher(shelf.url)
    assert fetcher.waited == [waited]


def test_attempts_that_bring_nothing_end_with_what_went_wrong(shelf: Shelf, fetcher: Fetcher) -> None:
    shelf.statuses = [500] * 99
    with pytest.raises(
        DownloadFailed, match=r"given up after 5 attempts: the server answers 500 Internal Server Error$"
    ):
        fetcher(shelf.url)
    assert len(shelf.requests) == ATTEMPTS
    assert fetcher.left == set()


def test_attempts_that_bring_something_are_not_counted_and_what_came_is_kept(shelf: Shelf, fetcher: Fetcher) -> None:
    shelf.cuts = [LEAST_PROGRESS] * 3 + [10] * 99
    with pytest.raises(DownloadFailed, match=rf"the {3 * LEAST_PROGRESS + 50} bytes that came are kept"):
        fetcher(shelf.url)
    assert len(shelf.requests) == 3 + ATTEMPTS
    shelf.cuts = []
    assert fetcher(shelf.url).read_bytes() == CONTENT
    assert shelf.ranges_asked[-1] == f"bytes={3 * LEAST_PROGRESS + 50}-"


def test_nobody_who_listens_is_an_error_that_names_the_address(fetcher: Fetcher) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}/{NAME}"
        with pytest.raises(DownloadFailed, match=rf"{url}: given up after 5 attempts: .*refused"):
            fetcher(url)


@pytest.mark.parametrize("status", [401, 403, 404, 410])
def test_a_file_that_is_not_there_is_asked_for_once_and_the_message_says_what_to_do(
    shelf: Shelf, fetcher: Fetcher, status: int
) -> None:
    shelf.statuses = [status]
    with pytest.raises(DownloadFailed, match=rf"answers {status} .*python -m export import"):
        fetcher(shelf.url)
    assert len(shelf.requests) == 1
    assert fetcher.left == set()


@pytest.mark.parametrize("says_length", [True, False])
def test_wrong_bytes_are_refused_and_not_kept(shelf: Shelf, fetcher: Fetcher, says_length: bool) -> None:
    shelf.content, shelf.says_length = OTHER, says_length
    found, wanted = (hashlib.sha256(content).hexdigest()[:8] for content in (OTHER, CONTENT))
    with pytest.raises(DownloadFailed, match=rf"the {len(OTHER)} bytes .* begins with {found}, not with {wanted}"):
        fetcher(shelf.url)
    assert fetcher.left == set()
    assert len(shelf.requests) == 1


def test_a_cut_that_nobody_can_see_leaves_no_wrong_file(shelf: Shelf, fetcher: Fetcher) -> None:
    """Without a length the end of the connection looks like the end of the file; the digest tells."""
    shelf.says_length, shelf.cuts = False, [HALF]
    with pytest.raises(DownloadFailed, match=f"the {HALF} bytes that came"):
        fetcher(shelf.url)
    assert fetcher.left == set()


def test_a_full_disk_is_named_and_its_bytes_are_given_back(shelf: Shelf, fetcher: Fetcher) -> None:
    fetcher.folder.mkdir()
    (fetcher.folder / f"{NAME}.partial").symlink_to("/dev/full")  # where every write finds the disk full
    with pytest.raises(DownloadFailed, match=rf"{fetcher.folder}: the disk was full after 0 bytes.*--cache"):
        fetcher(shelf.url)
    assert fetcher.left == set()


def test_a_disk_without_room_for_the_file_is_noticed_before_it_is_full(
    shelf: Shelf, fetcher: Fetcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(fetcher.folder.parent)._replace(free=len(CONTENT) - 1)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    with pytest.raises(DownloadFailed, match=f"has {len(CONTENT) - 1} bytes free, and {len(CONTENT)} of"):
        fetcher(shelf.url)
    assert fetcher.metered == []


@pytest.mark.parametrize("says_length", [True, False])
def test_a_server_that_sends_without_end_is_stopped(
    shelf: Shelf, fetcher: Fetcher, monkeypatch: pytest.MonkeyPatch, says_length: bool
) -> None:
    shelf.says_length = says_length
    monkeypatch.setattr(module, "MOST_BYTES", HALF)
    with pytest.raises(DownloadFailed, match=f"more than the {HALF}"):
        fetcher(shelf.url)
    assert fetcher.left == set()


def test_two_downloads_into_one_folder_do_not_meet(shelf: Shelf, fetcher: Fetcher) -> None:
    fetcher.folder.mkdir()
    with (fetcher.folder / "lock").open("w") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(DownloadFailed, match="another download is running"):
            fetcher(shelf.url)
    assert fetcher(shelf.url).read_bytes() == CONTENT


def test_a_redirect_is_followed(shelf: Shelf, fetcher: Fetcher) -> None:
    with serving(Shelf(b"", statuses=[302], headers={"Location": shelf.url})) as old:
        assert fetcher(old.url).read_bytes() == CONTENT


def test_a_redirect_from_https_to_http_is_refused(tmp_path: Path) -> None:
    """With 8 digits of the digest known, only the encryption stands against a forger."""

    def answer(request: httpx2.Request) -> httpx2.Response:
        if request.url.scheme == "https":
            return httpx2.Response(302, headers={"Location": "http://elsewhere.example/a"})
        return httpx2.Response(200, content=CONTENT)

    remote = Remote("https://official.example/a", NAME, hashlib.sha256(CONTENT).hexdigest()[:8])
    client = httpx2.Client(transport=httpx2.MockTransport(answer), follow_redirects=True)
    with client, pytest.raises(DownloadFailed, match=r"leads to http://elsewhere\.example/a, which is not encrypted"):
        download(remote, tmp_path, client=client)


@pytest.mark.parametrize("url", ["ftp://127.0.0.1/a", "nowhere", "http://127.0.0.1:port/a"])
def test_an_address_that_is_none_fails_at_once(fetcher: Fetcher, url: str) -> None:
    with pytest.raises(DownloadFailed):
        fetcher(url)
    assert fetcher.waited == []
