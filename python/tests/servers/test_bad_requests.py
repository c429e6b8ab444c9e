"""Requests that are wrong, over a socket: a clean error or an answer, and the stored page unharmed."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path

import pytest
from conftest import free_port, wait_for_port

HOST = b"Host: a.example"
# No request takes this long: who gets no answer until then never gets one.
PATIENCE = 60.0


@dataclass(frozen=True)
class Answer:
    """What the server sent before it closed the connection: status 0 where that was nothing."""

    status: int
    calls: int
    body: bytes


class Site:
    """The application in one worker of gunicorn, so that what is in memory is there for all."""

    def __init__(self, folder: Path, store: str, threads: int) -> None:
        self.port = free_port()
        self.log = folder / f"log-{store}-{threads}"
        env = {**os.environ, "INPUT_STORE": store}
        env["PYTHONPATH"] = ":".join([str(Path(__file__).parents[1]), *filter(None, sys.path)])
        command = [Path(sys.executable).parent / "gunicorn", "--bind", f"127.0.0.1:{self.port}"]
        command += ["--threads", str(threads), "--timeout", "120", "--no-control-socket"]
        command.append("input_app:application")
        with self.log.open("wb") as sink:
            self.process = subprocess.Popen(
                [str(part) for part in command],
                cwd=folder,
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=sink,
                start_new_session=True,
            )

    def send(self, request: bytes) -> Answer:
        """Sends these bytes and no more, and reads to the end."""
        with socket.create_connection(("127.0.0.1", self.port), PATIENCE) as link:
            with contextlib.suppress(OSError):
                # The server may have had enough before the end.
                link.sendall(request)
                link.shutdown(socket.SHUT_WR)
            said = b""
            with contextlib.suppress(ConnectionError):
                while part := link.recv(65536):
                    said += part
        head, _, body = said.partition(b"\r\n\r\n")
        status = re.match(rb"HTTP/1\.[01] (\d{3})", head)
        calls = re.search(rb"(?i)\r\nx-calls: (\d+)", head)
        return Answer(int(status[1]) if status else 0, int(calls[1]) if calls else -1, body)

    def get(self, *lines: bytes, target: bytes = b"/page", version: bytes = b"1.1") -> Answer:
        """A request of these lines, the last one of its connection."""
        first = b"GET " + target + b" HTTP/" + version
        return self.send(b"\r\n".join([first, *lines, b"Connection: close", b"", b""]))


@pytest.fixture(scope="module", params=[1, 4], ids=["sync", "threads"])
def site(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Generator[Site]:
    """The application behind two sorts of workers."""
    site = Site(tmp_path_factory.mktemp("site"), "SimpleCache", request.param)
    try:
        wait_for_port(site.port, site.process)
        yield site
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(site.process.pid, signal.SIGKILL)
        site.process.wait()
    assert not re.search("panicked|Traceback", site.log.read_text(errors="replace"))


@pytest.fixture(autouse=True)
def unharmed(site: Site) -> Generator[None]:
    """Whatever a test sends: the page that was there before is there afterwards, and not made anew."""
    before = site.get(HOST)
    assert before.status == 200
    assert before.body.startswith(b"GET a.example '/page' [] http://a.example/page")
    again = site.get(HOST)
    assert (again.body, again.calls) == (before.body, before.calls)
    yield
    after = site.get(HOST)
    assert (after.status, after.body) == (200, before.body)
    assert site.get(HOST).calls == after.calls


@pytest.mark.parametrize(
    "line",
    [
        b"X-A: a\0b",
        b"X-A: a\rb",
        b"X-A: \x01",
        b"Cookie: theme=a\0b",
        b"X A: 1",
        b": 1",
        b"X-A",
        b"X-A: " + b"x" * (64 << 10),
        b"\r\n".join(b"X-%d: %d" % (number, number) for number in range(5000)),
    ],
    ids=["nul", "cr", "control", "nul in a cookie", "space", "nameless", "bare", "long", "flood"],
)
def test_a_line_that_is_wrong_is_an_error(site: Site, line: bytes) -> None:
    for target in (b"/page", b"/varied"):
        assert site.get(HOST, line, target=target).status in (0, 400, 431)


@pytest.mark.parametrize("target", [b"/page\0", b"/pa ge", b"/page?" + b"x" * 9000, b"page", b""])
def test_a_target_that_is_wrong_is_an_error(site: Site, target: bytes) -> None:
    assert site.get(HOST, target=target).status in (0, 400, 404, 414)


def test_what_looks_like_a_line_break_in_a_value_is_one(site: Site) -> None:
    split = site.get(HOST, b"X-B: a\r\nX-A: b", target=b"/varied")
    assert split.body == site.get(HOST, b"X-A: b", target=b"/varied").body
    # In a target it is written with percent signs, and breaks no line.
    heard = [site.get(HOST, target=b"/page?a%0d%0aSet-Cookie:%20b=c") for _ in range(2)]
    assert heard[0].status == 200
    assert heard[0] == heard[1]
    assert site.get(HOST, target=b"/under/a%0d%0aX-A:%20b").status in (200, 404)


@pytest.mark.parametrize("end", [b"%ff", b"\xff", b"%c3%28", b"%ed%a0%80", b"%00", b"%F0%9F%A6%8A"])
def test_a_path_of_any_bytes_has_an_answer_of_its_own(site: Site, end: bytes) -> None:
    heard = [site.get(HOST, target=b"/under/" + end) for _ in range(2)]
    if heard[0].status == 200:
        assert heard[0].body == heard[1].body
        assert site.get(HOST, target=b"/under/other").body != heard[0].body
    else:
        assert heard[0].status == 400
    # As a value it is a value.
    for line in (b"X-A: " + end, b"Cookie: theme=" + end):
        told = site.get(HOST, line, target=b"/varied")
        assert told.status in (200, 400)
        assert told.body != site.get(HOST, target=b"/varied").body


def test_two_hosts_are_an_error_or_an_answer_of_their_own(site: Site) -> None:
    ours = site.get(HOST).body
    for hosts in ((HOST, b"Host: evil.example"), (b"Host: evil.example", HOST)):
        heard = site.get(*hosts)
        assert heard.status in (200, 400)
        assert heard.body != ours
    for host in (b"Host: a.example@evil", b"Host: a.example/x", b"Host: a.example:80,b", b"Host:"):
        heard = site.get(host)
        assert heard.status in (200, 400)
        assert heard.body != ours, host


def test_old_clients_are_answered(site: Site) -> None:
    assert site.get(HOST, version=b"1.0").body == site.get(HOST).body
    nameless = [site.get(version=b"1.0") for _ in range(2)]
    assert nameless[0].status == 200
    assert nameless[0].body == nameless[1].body != site.get(HOST).body


def test_a_whole_url_as_target_is_a_page_of_the_host_that_was_named(site: Site) -> None:
    heard = site.get(HOST, target=b"http://evil.example/page")
    assert heard.status in (200, 400)
    # The server gives the path and the line Host: then it is that one's page, made for that one.
    assert b"evil.example" not in site.get(HOST).body
    assert b"a.example" not in site.get(b"Host: evil.example").body


@pytest.mark.parametrize(
    "value",
    [
        b"bytes=" + b",".join(b"%d-" % number for number in range(1500)),
        b"bytes=" + b",".join([b"0-0"] * 1900),
        b"bytes=-99999999999999999999999",
        b"bytes=5-1",
        b"lines=1-2",
        b"bytes=",
    ],
    ids=["many", "tiny", "huge", "backwards", "other", "none"],
)
def test_ranges_cut_nothing_out_of_the_stored_page(site: Site, value: bytes) -> None:
    whole = site.get(HOST).body
    for target in (b"/page", b"/page?fresh=" + b"%d" % len(value)):
        heard = site.get(HOST, b"Range: " + value, target=target)
        assert heard.status in (200, 206, 416)
        # Never more than the page, however often it was asked for.
        assert len(heard.body) <= len(whole) + 200
        later = site.get(HOST, target=target)
        assert later.status == 200
        assert b"GET a.example '/page'" in later.body


def test_a_body_with_a_get_makes_no_difference(site: Site) -> None:
    ours = site.get(HOST)
    bodies = {
        b"Content-Length: 5": b"steer",
        b"Transfer-Encoding: chunked": b"5\r\nsteer\r\n0\r\n\r\n",
        b"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 9": b"_method=D",
    }
    for line, body in bodies.items():
        request = b"\r\n".join([b"GET /page HTTP/1.1", HOST, line, b"Connection: close", b"", body])
        assert site.send(request).body == ours.body
    assert site.get(HOST).calls == ours.calls


@pytest.mark.parametrize(
    "lines",
    [
        [b"Content-Length: 500"],
        [b"Content-Length: -1"],
        [b"Content-Length: 5", b"Content-Length: 7"],
        [b"Content-Length: 5", b"Transfer-Encoding: chunked"],
        [b"Transfer-Encoding: chunked"],
        [b"Transfer-Encoding: xchunked"],
    ],
)
@pytest.mark.parametrize("method", [b"GET", b"POST"])
def test_a_length_that_lies_harms_nobody(site: Site, method: bytes, lines: list[bytes]) -> None:
    head = [method + b" /page HTTP/1.1", HOST, *lines, b"Connection: close", b"", b"steer"]
    assert site.send(b"\r\n".join(head)).status in (0, 200, 400, 405, 501)


@pytest.mark.parametrize("method", [b"get", b"BREW", b"CONNECT", b"TRACE", b"G\0T", b"GET GET"])
def test_a_method_that_nobody_knows_is_an_error(site: Site, method: bytes) -> None:
    request = b"\r\n".join([method + b" /page HTTP/1.1", HOST, b"Connection: close", b"", b""])
    assert site.send(request).status in (0, 400, 405, 501)


def test_other_methods_do_not_fill_the_page_of_get(site: Site) -> None:
    target = b"/page?posted"
    head = b"POST " + target + b" HTTP/1.1\r\n" + HOST + b"\r\nContent-Length: 1\r\n"
    assert site.send(head + b"Connection: close\r\n\r\nx").body.startswith(b"POST ")
    head = b"HEAD " + target + b" HTTP/1.1\r\n" + HOST + b"\r\nConnection: close\r\n\r\n"
    assert site.send(head).body == b""
    assert site.get(HOST, target=target).body.startswith(b"GET ")


def test_a_name_with_an_underscore_is_no_other_name(site: Site) -> None:
    plain = site.get(HOST, target=b"/varied")
    assert site.get(HOST, b"X_A: steered", target=b"/varied").body == plain.body
    assert b"steered" not in site.get(HOST, target=b"/varied").body


def test_lines_of_one_name_are_told_apart_from_one_line(site: Site) -> None:
    bodies = [
        site.get(HOST, *lines, target=b"/varied").body
        for lines in ([], [b"X-A: a"], [b"X-A: b"], [b"X-A: a", b"X-A: b"], [b"X-A:"])
    ]
    assert len(set(bodies)) == len(bodies)


def test_half_a_request_is_none(site: Site) -> None:
    for half in (
        b"",
        b"\r\n\r\n",
        b"GET",
        b"GET /page HTTP/1.1\r\nHost: a.ex",
        b"\x16\x03\x01\0\xff",
    ):
        assert site.send(half).status in (0, 400)
