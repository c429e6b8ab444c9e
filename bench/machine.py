"""What the figures were measured on."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import tomllib
from pathlib import Path

from project import output

VERSIONS = """
import importlib.metadata as m, json, sys
names = ["flask-larder", "flask-caching", "cachelib", "cachebox", "cachetools", "diskcache", "lmdb",
         "pylibmc", "cashews", "redis", "hiredis", "flask", "werkzeug", "gunicorn", "granian"]
print(json.dumps({name: m.version(name) for name in names}))
"""
CRATES = (
    "axum",
    "axum-response-cache",
    "http-cache-tower-server",
    "moka",
    "tokio",
    "tower-http-cache",
)


def description(interpreter: Path, here: Path) -> list[str]:
    """Lines for the head of the table: the machine, and the versions of everything measured."""
    python = output(
        [interpreter, "-c", "import platform; print(platform.python_version())"]
    ).strip()
    packages: dict[str, str] = json.loads(output([interpreter, "-c", VERSIONS]))
    redis = output(["redis-server", "--version"]).split("v=")[1].split()[0]
    memcached = output(["memcached", "--version"]).split()[1]
    # These two say it on standard error.
    nginx = said(["nginx", "-v"]).rpartition("/")[2].split()[0]
    varnish = said(["varnishd", "-V"]).partition("varnish-")[2].split()[0]
    rust = output(["rustc", "--version"]).split()[1]
    lock = tomllib.loads((here / "rust" / "Cargo.lock").read_text())
    crates = {
        package["name"]: package["version"]
        for package in lock["package"]
        if package["name"] in CRATES
    }
    cores = f"{os.cpu_count()} cores, {processor()}, {platform.machine()}, {platform.system()}"
    return [
        f"Machine: {cores}; on it Redis {redis}, memcached {memcached}, nginx {nginx}, varnish {varnish}.",
        f"Python {python}: {listed(packages)}.",
        f"Rust {rust}: {listed(crates)}.",
    ]


def said(command: list[str]) -> str:
    """What a program writes, on whichever of the two."""
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return done.stdout + done.stderr


def listed(versions: dict[str, str]) -> str:
    """Names with their versions."""
    return ", ".join(f"{name} {version}" for name, version in versions.items())


def processor() -> str:
    """The model name, where the system tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return "unknown processor"
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, "unknown processor")
