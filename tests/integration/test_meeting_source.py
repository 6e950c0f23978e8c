"""Fetching a listing: from files, and from servers on the loopback that misbehave as servers do."""

from __future__ import annotations

import os
import socket
import ssl
import threading
import time
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from service.gateways.meetings.bmlt import FeedError, read_bmlt
from service.gateways.meetings.public_hosts import is_public
from service.gateways.meetings.source import SourceError, load_source, load_url

LISTING = b'[{"id_bigint": "7", "weekday_tinyint": "3", "start_time": "18:30:00"}]'
SECRET = "s3cret"
Answer = Callable[[socket.socket], None]


class Stub:
    """A server that answers each path with the bytes it was told to, one connection a request."""

    def __init__(self, context: ssl.SSLContext | None = None) -> None:
        self.answers: dict[str, Answer] = {}
        self.requests: list[str] = []
        self._context = context
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"{'https' if self._context else 'http'}://127.0.0.1:{self.port}"

    def close(self) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(5)
        assert not self._thread.is_alive()

    def _serve(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            with sock, suppress(OSError):
                sock.settimeout(5)
                if self._context is None:
                    self._answer(sock)
                else:
                    with self._context.wrap_socket(sock, server_side=True) as stream:
                        self._answer(stream)

    def _answer(self, sock: socket.socket) -> None:
        request = b""
        while b"\r\n\r\n" not in request:
            piece = sock.recv(65_536)
            if not piece:
                return
            request += piece
        self.requests.append(request.decode("latin-1"))
        path = request.split()[1].decode("latin-1")
        self.answers.get(path, say(b"", status="404 Not Found"))(sock)

    @property
    def paths(self) -> list[str]:
        return [request.split()[1] for request in self.requests]


def say(body: bytes, *, status: str = "200 OK", length: int | None = None, headers: str = "") -> Answer:
    size = len(body) if length is None else length
    return send(f"HTTP/1.1 {status}\r\nContent-Length: {size}\r\n{headers}\r\n".encode() + body)


def send(content: bytes) -> Answer:
    return lambda sock: sock.sendall(content)


def redirect(target: str, status: int = 302) -> Answer:
    return say(b"moved", status=f"{status} Moved", headers=f"Location: {target}\r\n")


def drip(content: bytes, pause: float = 0.05) -> Answer:
    def answer(sock: socket.socket) -> None:
        for byte in content:
            sock.sendall(bytes([byte]))
            time.sleep(pause)

    return answer


def in_turn(*answers: Answer) -> Answer:
    def answer(sock: socket.socket) -> None:
        for one in answers:
            one(sock)

    return answer


@pytest.fixture
def stub() -> Iterator[Stub]:
    server = Stub()
    yield server
    server.close()


def load(url: str, **options: Any) -> bytes:
    return load_source(url, allow_private=True, **({"timeout": 3} | options))


def refuse(url: str, **options: Any) -> str:
    with pytest.raises(SourceError) as caught:
        load(url, **options)
    message = str(caught.value)
    assert "\n" not in message
    assert SECRET not in message
    return message


def test_a_file_is_read_by_its_path(tmp_path: Path) -> None:
    path = tmp_path / "listing.json"
    path.write_bytes(LISTING)

    assert load_source(str(path)) == LISTING


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        pytest.param("missing.json", "there is no file", id="missing"),
        pytest.param(".", "is a directory", id="a directory"),
        pytest.param("listing.json/x", "cannot be read: Not a directory", id="a path through a file"),
        pytest.param("x" * 300, "cannot be read: File name too long", id="an over-long name"),
        pytest.param("a\0b", "cannot be read: not a usable path", id="a name that is none"),
        pytest.param("two\nlines", r"there is no file '.*two\\nlines'", id="a name of two lines"),
        pytest.param("pipe", "is not a regular file", id="a pipe would wait for ever"),
    ],
)
def test_a_path_that_is_no_file_is_refused_with_one_line(tmp_path: Path, name: str, expected: str) -> None:
    (tmp_path / "listing.json").write_bytes(LISTING)
    os.mkfifo(tmp_path / "pipe")

    with pytest.raises(SourceError, match=expected) as caught:
        load_source(f"{tmp_path}/{name}")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("size", "is_refused"), [(100, False), (101, True)])
def test_a_file_has_a_largest_size(tmp_path: Path, size: int, is_refused: bool) -> None:
    path = tmp_path / "listing.json"
    path.write_bytes(b"x" * size)

    if is_refused:
        with pytest.raises(SourceError, match="larger than 100 bytes"):
            load_source(str(path), max_bytes=100)
    else:
        assert len(load_source(str(path), max_bytes=100)) == size


def test_an_address_is_fetched(stub: Stub) -> None:
    stub.answers["/json/?switcher=GetSearchResults&services[]=1"] = say(LISTING)

    assert load(f"{stub.url}/json/?switcher=GetSearchResults&services[]=1") == LISTING
    assert "Accept-Encoding: identity" in stub.requests[0]
    assert "Authorization" not in stub.requests[0]


def test_spaces_and_letters_of_an_address_are_escaped_once(stub: Stub) -> None:
    stub.answers["/caf%C3%A9/a%20b?q=%C3%A9%20%2B"] = say(LISTING)

    assert load(f"{stub.url}/café/a%20b?q=é %2B") == LISTING


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"HTTP/1.0 200 OK\r\n\r\n" + LISTING, id="until the connection closes"),
        pytest.param(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
            + f"{len(LISTING):x}\r\n".encode()
            + LISTING
            + b"\r\n0\r\n\r\n",
            id="in chunks",
        ),
        pytest.param(
            f"HTTP/1.1 200 OK\r\nContent-Length: {len(LISTING)}\r\n\r\n".encode() + LISTING + b"more",
            id="with more behind it",
        ),
    ],
)
def test_an_answer_is_read_however_it_is_framed(stub: Stub, content: bytes) -> None:
    stub.answers["/"] = send(content)

    assert load(stub.url) == LISTING


def test_an_answer_ends_where_it_says_although_the_server_keeps_the_line(stub: Stub) -> None:
    def answer(sock: socket.socket) -> None:
        say(LISTING)(sock)
        sock.recv(1)

    stub.answers["/"] = answer

    assert load(stub.url) == LISTING


def test_a_web_page_in_place_of_json_is_said_by_the_reader(stub: Stub) -> None:
    stub.answers["/"] = say(b"<!doctype html><title>Log in</title>")

    with pytest.raises(FeedError, match="web page"):
        read_bmlt(load(stub.url), "America/New_York")


BROKEN = [
    pytest.param(say(LISTING, length=len(LISTING) + 1), "stopped before the end", id="shorter than it said"),
    pytest.param(
        send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n40\r\n" + LISTING[:10]),
        "stopped before the end",
        id="a chunk cut short",
    ),
    pytest.param(send(b""), "does not speak HTTP|connection reset", id="nothing at all"),
    pytest.param(send(b"SSH-2.0-Server\r\n"), "does not speak HTTP", id="another protocol"),
    pytest.param(say(b"gone", status="404 Not Found"), "answered with status 404", id="not found"),
    pytest.param(say(b"", status="500 Oops"), "answered with status 500", id="a fault over there"),
    pytest.param(say(LISTING, status="206 Partial"), "answered with status 206", id="a part of it"),
    pytest.param(
        say(LISTING, headers="Content-Encoding: gzip\r\n"), "compressed", id="compressed, perhaps a bomb"
    ),
    pytest.param(say(b"x" * 2001), "larger than 2,000 bytes", id="over-large"),
    pytest.param(say(b"", length=10**15), "larger than 2,000 bytes", id="over-large by its own word"),
    pytest.param(
        send(b"HTTP/1.0 200 OK\r\n\r\n" + b"x" * 2001),
        "larger than 2,000 bytes",
        id="over-large, unannounced",
    ),
    pytest.param(redirect("/"), "redirects more than 3 times", id="a redirect to itself"),
    pytest.param(redirect(""), "redirects to nowhere", id="a redirect to nowhere"),
    pytest.param(redirect("http://[broken"), "no web address", id="a redirect to nonsense"),
    pytest.param(redirect("file:///etc/passwd"), "only http:// and https://", id="a redirect to a file"),
    pytest.param(redirect("ftp://127.0.0.1/x"), "only http:// and https://", id="a redirect to FTP"),
]


@pytest.mark.parametrize(("answer", "expected"), BROKEN)
def test_a_broken_answer_is_refused_with_one_line(stub: Stub, answer: Answer, expected: str) -> None:
    stub.answers["/"] = answer

    with pytest.raises(SourceError, match=expected) as caught:
        load(stub.url, max_bytes=2000)
    assert "\n" not in str(caught.value)


SLOW = [
    pytest.param(drip(b"HTTP", pause=0.5), id="silence"),
    pytest.param(drip(b"HTTP/1.1 200 OK\r\nX: " + b"x" * 20), id="a head that drips"),
    pytest.param(in_turn(say(b"", length=20), drip(b"x" * 20)), id="a body that drips"),
    pytest.param(
        in_turn(send(b"HTTP/1.0 200 OK\r\n\r\n"), drip(b"x" * 20)), id="a body without an end that drips"
    ),
]


@pytest.mark.parametrize("answer", SLOW)
def test_a_slow_answer_is_cut_off_in_time(stub: Stub, answer: Answer) -> None:
    stub.answers["/"] = answer
    begun = time.monotonic()

    message = refuse(stub.url, timeout=0.3)

    assert message == "the listing did not arrive within 0.3 seconds"
    assert time.monotonic() - begun < 0.8


def test_redirects_share_one_limit_of_time(stub: Stub) -> None:
    def slow_redirect(sock: socket.socket) -> None:
        time.sleep(0.2)
        redirect("/")(sock)

    stub.answers["/"] = slow_redirect

    assert "did not arrive" in refuse(stub.url, timeout=0.3)
    assert len(stub.paths) == 2


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_followed(stub: Stub, status: int) -> None:
    stub.answers |= {"/old/a": redirect("../new", status), "/new": say(LISTING)}

    assert load(f"{stub.url}/old/a") == LISTING


def test_three_redirects_are_followed_and_a_fourth_is_not(stub: Stub) -> None:
    stub.answers |= {f"/{n}": redirect(f"/{n + 1}") for n in range(4)} | {"/4": say(LISTING)}

    assert load(f"{stub.url}/1") == LISTING
    assert "more than 3 times" in refuse(f"{stub.url}/0")
    assert stub.paths == ["/1", "/2", "/3", "/4", "/0", "/1", "/2", "/3"]


def test_a_login_in_the_address_is_used_there_and_nowhere_else(stub: Stub) -> None:
    stub.answers |= {"/": redirect(f"{stub.url}/new"), "/new": say(LISTING)}

    load(stub.url.replace("//", f"//staff:{SECRET}%21@"))

    expected = b64encode(f"staff:{SECRET}!".encode()).decode()
    assert f"Authorization: Basic {expected}" in stub.requests[0]
    assert "Authorization" not in stub.requests[1]


@pytest.mark.parametrize(
    "url",
    [
        f"http://staff:{SECRET}@127.0.0.1:1/{SECRET}?token={SECRET}#{SECRET}",
        f"ftp://staff:{SECRET}@example.org/{SECRET}",
        f"http://staff:{SECRET}@[broken/{SECRET}",
        f"http://staff:{SECRET}@127.0.0.1:99999/{SECRET}",
        f"http://staff:{SECRET}@/{SECRET}",
        f"http://{SECRET * 20}..example.org@127.0.0.1:1/",
    ],
)
def test_a_refusal_never_repeats_what_may_be_secret(url: str) -> None:
    refuse(url)


def test_an_unknown_name_is_said_without_the_rest_of_the_address(monkeypatch: pytest.MonkeyPatch) -> None:
    def getaddrinfo(*_: Any, **__: Any) -> Any:
        raise socket.gaierror(socket.EAI_NONAME, SECRET)

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)

    message = refuse(f"http://staff:{SECRET}@nowhere.example/{SECRET}")

    assert message == "nowhere.example gave no usable answer: the name is unknown"


PRIVATE = [
    pytest.param("http://127.0.0.1:{port}/", id="loopback"),
    pytest.param("http://localhost:{port}/", id="loopback by name"),
    pytest.param("http://2130706433:{port}/", id="loopback as one number"),
    pytest.param("http://0x7f000001:{port}/", id="loopback in hexadecimal"),
    pytest.param("http://127.1:{port}/", id="loopback abbreviated"),
    pytest.param("http://0.0.0.0:{port}/", id="this very machine"),
    pytest.param("http://[::ffff:127.0.0.1]:{port}/", id="loopback within IPv6"),
    pytest.param("http://169.254.169.254/latest/meta-data/", id="a cloud's metadata"),
    pytest.param("https://10.0.0.1/", id="a private network"),
]


@pytest.mark.parametrize("url", PRIVATE)
def test_addresses_inside_the_network_are_refused_without_a_connection(stub: Stub, url: str) -> None:
    with pytest.raises(SourceError, match="not on the public internet"):
        load_url(url.format(port=stub.port))
    assert stub.requests == []


@pytest.mark.parametrize(
    ("address", "expected", "reason"),
    [
        ("1.1.1.1", True, "a public resolver"),
        ("2606:4700:4700::1111", True, "the same by IPv6"),
        ("::ffff:1.1.1.1", True, "the same, mapped"),
        ("64:ff9b::101:101", True, "the same, translated"),
        ("172.16.0.1", False, "a private network"),
        ("192.168.1.1", False, "a home network"),
        ("100.64.0.1", False, "a carrier's network"),
        ("224.0.0.1", False, "multicast"),
        ("255.255.255.255", False, "broadcast"),
        ("::1", False, "loopback"),
        ("::", False, "nothing"),
        ("fe80::1%1", False, "link-local"),
        ("fd00::1", False, "a private network by IPv6"),
        ("ff02::1", False, "multicast by IPv6"),
        ("::ffff:10.0.0.1", False, "private, mapped"),
        ("64:ff9b::a00:1", False, "private, translated"),
        ("2002:a00:1::", False, "private, through 6to4"),
        ("2001:0:4136:e378:8000:63bf:3fff:fdd2", False, "through Teredo"),
        ("::127.0.0.1", False, "loopback, IPv4-compatible"),
        ("::a9fe:a9fe", False, "a cloud's metadata, IPv4-compatible"),
        ("::1.1.1.1", False, "IPv4-compatible addresses are out of use: routed nowhere public"),
        ("::ffff:a9fe:a9fe", False, "a cloud's metadata, mapped"),
        ("::ffff:0:7f00:1", False, "loopback, in the form of stateless translation"),
        ("64:ff9b::a9fe:a9fe", False, "a cloud's metadata, translated"),
        ("64:ff9b::7f00:1", False, "loopback, translated"),
        ("64:ff9b:1::a00:1", False, "private, by a network's own translation prefix"),
        ("64:ff9b:1:a00:0:100::", False, "the same, in the form of a /48"),
        ("64:ff9b:1::101:101", False, "a network's own prefix: where the address stands in it, nobody knows"),
        ("fec0::1", False, "site-local, out of use but routed by some"),
        ("5f00::1", False, "segment routing inside a network"),
        ("100::1", False, "discarded"),
        ("3fff::1", False, "documentation"),
        ("2001:db8::1", False, "documentation"),
        ("4000::1", False, "given to nobody"),
        ("192.0.0.1", False, "between a home and its carrier"),
        ("192.0.0.9", False, "the nearest port-mapping server"),
        ("192.0.0.170", False, "finds out about translation"),
        ("192.88.99.1", False, "the nearest relay of 6to4"),
        ("198.18.0.1", False, "benchmarks of network gear"),
        ("0.0.0.0", False, "this very machine"),
    ],
)
def test_an_address_is_public_only_where_everybody_can_reach_it(
    address: str, expected: bool, reason: str
) -> None:
    assert is_public(address) is expected, reason


@pytest.mark.parametrize(
    "target",
    [
        pytest.param("http://localhost:{port}/inside", id="the same machine by another name"),
        pytest.param("http://[::ffff:127.0.0.1]:{port}/inside", id="the same machine, mapped"),
        pytest.param("http://127.1:{port}/inside", id="the same machine, abbreviated"),
        pytest.param("//127.0.0.2:{port}/inside", id="a neighbor"),
        pytest.param("http://169.254.169.254/latest/meta-data/", id="a cloud's metadata"),
    ],
)
def test_a_private_address_that_was_typed_cannot_redirect_to_another_host_inside(
    stub: Stub, target: str
) -> None:
    stub.answers |= {"/": redirect(target.format(port=stub.port)), "/inside": say(LISTING)}

    assert "is not on the public internet" in refuse(stub.url)
    assert stub.paths == ["/"]


class Internet:
    """A name server and a wire of ours: names stand for public addresses, all of which lead to the stub."""

    PUBLIC = "1.1.1.1"

    def __init__(self, stub: Stub, patch: pytest.MonkeyPatch) -> None:
        self.names: dict[str, list[list[str]]] = {}
        self.connected: list[str] = []
        resolve, connect = socket.getaddrinfo, socket.socket.connect

        def getaddrinfo(host: str, *args: Any, **options: Any) -> Any:
            if host not in self.names:
                return resolve(host, *args, **options)
            answers = self.names[host].pop(0)
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (one, 80)) for one in answers]

        def connect_to_stub(sock: socket.socket, address: Any) -> None:
            self.connected.append(address[0])
            connect(sock, ("127.0.0.1", stub.port))

        patch.setattr(socket, "getaddrinfo", getaddrinfo)
        patch.setattr(socket.socket, "connect", connect_to_stub)


@pytest.fixture
def internet(stub: Stub, monkeypatch: pytest.MonkeyPatch) -> Internet:
    return Internet(stub, monkeypatch)


def test_a_public_name_is_fetched(stub: Stub, internet: Internet) -> None:
    internet.names["meetings.example"] = [[Internet.PUBLIC]]
    stub.answers["/"] = say(LISTING)

    assert load_url("http://meetings.example/", timeout=3) == LISTING
    assert internet.connected == [Internet.PUBLIC]
    assert "Host: meetings.example\r\n" in stub.requests[0]


def test_a_name_that_changes_its_answer_is_looked_up_only_once(stub: Stub, internet: Internet) -> None:
    internet.names["meetings.example"] = [[Internet.PUBLIC], ["127.0.0.1"]]
    stub.answers["/"] = say(LISTING)

    load_url("http://meetings.example/", timeout=3)

    assert internet.connected == [Internet.PUBLIC]
    assert internet.names["meetings.example"] == [["127.0.0.1"]]


def test_a_name_that_changes_its_answer_between_redirects_is_refused(stub: Stub, internet: Internet) -> None:
    internet.names["meetings.example"] = [[Internet.PUBLIC], ["127.0.0.1"]]
    stub.answers["/"] = redirect("/again")

    with pytest.raises(SourceError, match="not on the public internet"):
        load_url("http://meetings.example/", timeout=3)
    assert internet.connected == [Internet.PUBLIC]


def test_a_private_address_that_was_typed_may_redirect_to_a_public_host(
    stub: Stub, internet: Internet
) -> None:
    internet.names["meetings.example"] = [[Internet.PUBLIC]]
    stub.answers |= {"/": redirect("http://meetings.example/new"), "/new": say(LISTING)}

    assert load(stub.url) == LISTING


def test_a_public_host_cannot_redirect_into_the_network(stub: Stub, internet: Internet) -> None:
    internet.names["meetings.example"] = [[Internet.PUBLIC]]
    stub.answers["/"] = redirect(f"http://127.0.0.1:{stub.port}/inside")

    with pytest.raises(SourceError, match="not on the public internet"):
        load_url("http://meetings.example/", timeout=3)
    assert stub.paths == ["/"]


def test_a_name_with_one_address_inside_is_refused_whole(stub: Stub, internet: Internet) -> None:
    internet.names["meetings.example"] = [[Internet.PUBLIC, "10.0.0.1"]]

    with pytest.raises(SourceError, match="not on the public internet"):
        load_url("http://meetings.example/", timeout=3)
    assert internet.connected == []


@pytest.fixture
def secure_stub(tmp_path: Path) -> Iterator[Stub]:
    """A server with a certificate of its own making for 127.0.0.1; the file is `certificate.pem`."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "stub")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    path, key_path = tmp_path / "certificate.pem", tmp_path / "key.pem"
    path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    key_path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path, key_path)
    server = Stub(context)
    yield server
    server.close()


def test_a_secure_address_names_its_port_only_where_it_must(
    secure_stub: Stub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect = socket.socket.connect
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "certificate.pem"))
    monkeypatch.setattr(
        socket.socket, "connect", lambda sock, _: connect(sock, ("127.0.0.1", secure_stub.port))
    )
    secure_stub.answers["/"] = say(LISTING)

    load("https://127.0.0.1/")

    assert "Host: 127.0.0.1\r\n" in secure_stub.requests[0]


def test_an_address_is_fetched_securely(
    secure_stub: Stub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "certificate.pem"))
    secure_stub.answers["/"] = say(LISTING)

    assert load(secure_stub.url) == LISTING


def test_a_certificate_nobody_vouches_for_is_refused(secure_stub: Stub) -> None:
    assert "certificate cannot be trusted" in refuse(secure_stub.url)
    assert secure_stub.requests == []


def test_a_certificate_of_another_name_is_refused(
    secure_stub: Stub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "certificate.pem"))

    assert "certificate cannot be trusted" in refuse(f"https://localhost:{secure_stub.port}/")


def test_a_secure_body_that_drips_is_cut_off_in_time(
    secure_stub: Stub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "certificate.pem"))
    secure_stub.answers["/"] = drip(b"HTTP/1.0 200 OK\r\n\r\n" + b"x" * 20)

    assert "did not arrive within" in refuse(secure_stub.url, timeout=0.5)


def test_a_server_that_never_greets_securely_is_cut_off_in_time() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"https://127.0.0.1:{listener.getsockname()[1]}/"

        assert "did not arrive within" in refuse(url, timeout=0.3)
