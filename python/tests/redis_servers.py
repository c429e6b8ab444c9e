"""Real Redis servers in every arrangement that people have: TLS and accounts, sentinels, a cluster.

They keep nothing on disk, listen on the loopback address alone and end with the tests. A test that
treats servers badly starts its own.
"""

from __future__ import annotations

import contextlib
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Generator, Sequence
from pathlib import Path
from typing import Any

import pytest
import redis
from server_support import PORTS, RedisServer, free_port, hold, missing

PATIENCE = 120.0
"""Nothing here takes this long on a quiet machine; a test fails where something takes for ever."""

_AT_ONCE = ("--repl-diskless-sync-delay", "0")
"""A replica gets its copy as soon as it asks, not when others may have asked as well."""

NEVER = 600
"""The seconds of silence after which a server is missed where none is to be: longer than a test."""
_BUS = 10_000
"""How far a cluster's own port is from that of its clients."""

USER, PASSWORD = "shop", "p@ss:w/rd"
SENTINEL_PASSWORD = "s3ntinel"
MASTER = "shop-cache"


def until(condition: Callable[[], object], what: str = "") -> None:
    """Asks again and again until something holds; what cannot be asked yet does not hold."""
    deadline = time.monotonic() + PATIENCE
    while True:
        with contextlib.suppress(redis.RedisError, OSError):
            if condition():
                return
        assert time.monotonic() < deadline, f"this never came: {what or condition}"
        time.sleep(0.02)


class Node(RedisServer):
    """A Redis with options of its own."""

    def __init__(self, port: int, folder: Path, *options: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        super().__init__(port, str(folder))
        self.options = options

    def start(self) -> None:
        """Starts the server and waits until it answers."""
        self.launch("--save", "", "--appendonly", "no", *self.options)

    def client(self, **options: Any) -> redis.Redis:
        """A client of the test's own, with time enough on a busy machine."""
        return redis.Redis(port=self.port, socket_timeout=30, **options)

    @property
    def run_id(self) -> str:
        """What this run of the server calls itself."""
        return str(self.client().info("server")["run_id"])  # type: ignore[index]


class Sentinels:
    """A master, its replica, and three sentinels who put the one in the place of the other.

    The servers ask for PASSWORD, the sentinels for SENTINEL_PASSWORD.
    """

    def __init__(self, folder: Path, missed_after: int = 1) -> None:
        self._missed_after = missed_after
        access = ("--requirepass", PASSWORD, "--masterauth", PASSWORD, *_AT_ONCE)
        ports = [free_port() for _ in range(5)]
        first = Node(ports[0], folder / "a", *access)
        second = Node(ports[1], folder / "b", *access, "--replicaof", "127.0.0.1", str(first.port))
        # A replica that was just told of its master is asked for the whole of it at once.
        self.servers = [first, second]
        self.sentinels = [_Sentinel(port, folder / f"s{port}") for port in ports[2:]]

    @property
    def pairs(self) -> list[tuple[str, int]]:
        """The sentinels, as CACHE_REDIS_SENTINELS has them."""
        return [("127.0.0.1", sentinel.port) for sentinel in self.sentinels]

    @property
    def config(self) -> dict[str, Any]:
        """How an application is told of them."""
        return {
            "CACHE_TYPE": "RedisSentinelCache",
            "CACHE_REDIS_SENTINELS": self.pairs,
            "CACHE_REDIS_SENTINEL_MASTER": MASTER,
            "CACHE_REDIS_PASSWORD": PASSWORD,
            "CACHE_REDIS_SENTINEL_PASSWORD": SENTINEL_PASSWORD,
        }

    def start(self) -> None:
        """Starts all of them, and waits until each sentinel knows the replica and the other two."""
        for server in self.servers:
            server.start()
        until(lambda: self._role(self.servers[1])[3] == b"connected", "a replica that follows")
        for sentinel in self.sentinels:
            sentinel.watch(self.servers[0].port, self._missed_after)
            sentinel.start()
        for sentinel in self.sentinels:
            until(lambda sentinel=sentinel: sentinel.knows(replicas=1, others=2), "its fellows")

    @staticmethod
    def _role(server: Node) -> Any:
        return server.client(password=PASSWORD).execute_command("ROLE")

    def master(self) -> Node:
        """The server that most sentinels call the master, as soon as it calls itself one."""
        found: list[Node] = []

        def agreed() -> bool:
            ports = [sentinel.master_port() for sentinel in self.sentinels]
            port = max(ports, key=ports.count)
            found[:] = [server for server in self.servers if server.port == port]
            return bool(found) and self._role(found[0])[0] == b"master"

        until(agreed, "a master")
        return found[0]

    def other(self, server: Node) -> Node:
        """The one of the two servers that this is not."""
        return next(one for one in self.servers if one is not server)

    def stop(self) -> None:
        """Ends all of them."""
        for one in [*self.sentinels, *self.servers]:
            one.stop()


class _Sentinel(Node):
    def watch(self, port: int, missed_after: int) -> None:
        """Writes down whose master is watched, and how many seconds of silence are enough."""
        lines = [
            f"sentinel monitor {MASTER} 127.0.0.1 {port} 2",
            f"sentinel down-after-milliseconds {MASTER} {1000 * missed_after}",
            f"sentinel failover-timeout {MASTER} 5000",
            f"sentinel auth-pass {MASTER} {PASSWORD}",
            f"requirepass {SENTINEL_PASSWORD}",
            f"sentinel sentinel-pass {SENTINEL_PASSWORD}",
            "bind 127.0.0.1",
            f"port {self.port}",
            f"dir {self.folder}",
        ]
        self.settings = Path(self.folder) / "sentinel.conf"
        self.settings.write_text("\n".join(lines) + "\n")

    def start(self) -> None:
        self.launch(file=str(self.settings))

    def launch(self, *options: str, file: str | None = None) -> None:
        super().launch("--sentinel", *options, file=file)

    def _told(self, *words: str) -> Any:
        return self.client(password=SENTINEL_PASSWORD).execute_command("SENTINEL", *words)

    def knows(self, replicas: int, others: int) -> bool:
        """Whether it has found so many of each."""
        found = [len(self._told(what, MASTER)) for what in ("REPLICAS", "SENTINELS")]
        return found == [replicas, others]

    def master_port(self) -> int:
        """Where it says that the master is."""
        return int(self._told("GET-MASTER-ADDR-BY-NAME", MASTER)[1])


class Cluster:
    """Three masters with a replica each. A master is missed after a second, or so many."""

    SLOTS = ((0, 5460), (5461, 10922), (10923, 16383))

    def __init__(self, folder: Path, missed_after: int = 1) -> None:
        timeout = str(1000 * missed_after)
        options = ("--cluster-enabled", "yes", "--cluster-node-timeout", timeout)
        more = ("--cluster-require-full-coverage", "no", "--cluster-replica-validity-factor", "0")
        more += _AT_ONCE
        ports = _cluster_ports(6)
        self.nodes = [Node(port, folder / str(port), *options, *more) for port in ports]

    @property
    def config(self) -> dict[str, Any]:
        """How an application is told of them."""
        places = ",".join(f"127.0.0.1:{node.port}" for node in self.nodes[:3])
        return {"CACHE_TYPE": "RedisClusterCache", "CACHE_REDIS_CLUSTER": places}

    def start(self) -> None:
        """Starts all of them, and waits until each knows who has which slots."""
        for node in self.nodes:
            node.start()
        masters, replicas = self.nodes[:3], self.nodes[3:]
        for number, (node, (first, last)) in enumerate(zip(masters, self.SLOTS, strict=True)):
            # An epoch for each from the start, so that nobody has to find out who comes first.
            node.client().execute_command("CLUSTER SET-CONFIG-EPOCH", number + 1)
            slots = range(first, last + 1)
            node.client().execute_command("CLUSTER ADDSLOTS", *slots)
        for node in self.nodes[1:]:
            node.client().execute_command("CLUSTER MEET", "127.0.0.1", self.nodes[0].port)
        for node in self.nodes:
            until(lambda node=node: len(self._known(node)) == 6, "six nodes")
        for master, replica in zip(masters, replicas, strict=True):
            name = self._name(master)
            until(lambda r=replica, n=name: self._follows(r, n), "a replica")
        for node in self.nodes:
            until(lambda node=node: self._is_whole(node), "a whole cluster")

    @staticmethod
    def _known(node: Node) -> list[list[str]]:
        found: Any = node.client().execute_command("CLUSTER NODES")
        # redis-py reads the table into a dict in some versions, and leaves it a text in others.
        if isinstance(found, dict):
            return [[name, *map(str, line.values())] for name, line in found.items()]
        text = found.decode() if isinstance(found, bytes) else str(found)
        return [line.split() for line in text.splitlines() if line]

    @staticmethod
    def _name(node: Node) -> str:
        found: Any = node.client().execute_command("CLUSTER MYID")
        return found.decode() if isinstance(found, bytes) else str(found)

    @staticmethod
    def _follows(replica: Node, name: str) -> bool:
        replica.client().execute_command("CLUSTER REPLICATE", name)
        return True

    def _is_whole(self, node: Node) -> bool:
        said: Any = node.client().execute_command("CLUSTER INFO")
        text = said.decode() if isinstance(said, bytes) else str(said)
        linked = all(self.role(one)[0] == "master" or self.role(one)[1] for one in self.nodes)
        return linked and "cluster_state" in text and "ok" in text and self._replicas(node) == 3

    def _replicas(self, node: Node) -> int:
        return sum("slave" in str(line) for line in self._known(node))

    @staticmethod
    def role(node: Node) -> tuple[str, bool]:
        """Whether a node is a master or a replica, and whether a replica has its master's data."""
        said: Any = node.client().execute_command("ROLE")
        kind = said[0].decode()
        return kind, kind == "slave" and said[3] == b"connected"

    def masters(self) -> list[Node]:
        """The nodes that answer and call themselves masters."""
        alive = [node for node in self.nodes if node.process is not None]
        return [node for node in alive if self.role(node)[0] == "master"]

    def stop(self) -> None:
        """Ends all of them."""
        for node in self.nodes:
            node.stop()


def _cluster_ports(count: int) -> list[int]:
    """Ports whose neighbours for the cluster's own talk are free as well."""
    found: list[int] = []
    while len(found) < count:
        port = free_port()
        if port + _BUS < PORTS[1] and hold(port + _BUS):
            found.append(port)
    return found


class Certificates:
    """An authority, a certificate of the server by it, and one of a client."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        program = shutil.which("openssl")
        if program is None:
            missing("openssl", "Redis with TLS")
        self._program = str(program)
        self.authority = self._made("ca", "authority", ("-x509", "-days", "36500"))
        self.server = self._signed("server", "localhost")
        self.client = self._signed("client", "shop")
        self.stranger = self._made("stranger", "localhost", ("-x509", "-days", "36500"))

    def _run(self, *words: str) -> None:
        subprocess.run([self._program, *words], check=True, capture_output=True)

    def _made(self, name: str, subject: str, how: Sequence[str]) -> tuple[Path, Path]:
        key, made = self.folder / f"{name}.key", self.folder / f"{name}.pem"
        kind = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
        names = ["-subj", f"/CN={subject}", "-keyout", str(key), "-out", str(made)]
        self._run("req", *how, *kind, *names)
        return made, key

    def _signed(self, name: str, subject: str) -> tuple[Path, Path]:
        asked, key = self._made(f"{name}-asked", subject, ())
        made = self.folder / f"{name}.pem"
        about = self.folder / f"{name}.ext"
        about.write_text(f"subjectAltName=DNS:{subject}\n")
        authority, secret = self.authority
        by = ["-CA", str(authority), "-CAkey", str(secret), "-CAcreateserial", "-days", "36500"]
        self._run("x509", "-req", "-in", str(asked), "-out", str(made), *by, "-extfile", str(about))
        return made, key


class Guarded(Node):
    """A Redis with TLS on one port and without on another, an account with a password, and a socket."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.certificates = Certificates(folder)
        self.tls_port, self.socket = free_port(), str(folder / "redis.sock")
        (made, key), (authority, _) = self.certificates.server, self.certificates.authority
        super().__init__(
            free_port(),
            folder,
            *("--unixsocket", self.socket, "--tls-port", str(self.tls_port)),
            *("--tls-cert-file", str(made), "--tls-key-file", str(key)),
            *("--tls-ca-cert-file", str(authority), "--tls-auth-clients", "optional"),
            *("--user", USER, "on", f">{PASSWORD}", "~*", "&*", "+@all"),
        )


@contextlib.contextmanager
def started(servers: Any) -> Generator[Any]:
    """Servers of any arrangement, for as long as the block runs."""
    try:
        servers.start()
        yield servers
    finally:
        servers.stop()


@pytest.fixture(scope="session")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Generator[Guarded]:
    """A Redis with TLS and an account, for all tests."""
    with started(Guarded(tmp_path_factory.mktemp("guarded"))) as server:
        yield server


@pytest.fixture(scope="session")
def sentinels(tmp_path_factory: pytest.TempPathFactory) -> Generator[Sentinels]:
    """A master, a replica and three sentinels, for all tests."""
    folder = tmp_path_factory.mktemp("sentinels")
    with started(Sentinels(folder, missed_after=NEVER)) as servers:
        yield servers


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Generator[Cluster]:
    """A cluster of three masters and three replicas, for all tests."""
    # A busy machine is slow, and nobody is to be missed for that.
    folder = tmp_path_factory.mktemp("cluster")
    with started(Cluster(folder, missed_after=NEVER)) as servers:
        yield servers


def kill(server: RedisServer) -> None:
    """Ends a server as a machine that is switched off does."""
    server.signal(signal.SIGKILL)
    server.stop()


__all__ = [
    "MASTER",
    "PASSWORD",
    "PATIENCE",
    "SENTINEL_PASSWORD",
    "USER",
    "Certificates",
    "Cluster",
    "Guarded",
    "Node",
    "Sentinels",
    "cluster",
    "guarded",
    "kill",
    "sentinels",
    "started",
    "until",
]
