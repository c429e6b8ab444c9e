"""Bringing in what a machine lacks."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import installs

APT = """#!/bin/sh
# Like the real one, it turns away whoever comes while it is at work.
mkdir {folder}/lock || exit 100
echo "$@" >> {folder}/said
case "$*" in
    *install*) sleep 0.1; printf '#!/bin/sh\n' > {folder}/tool; chmod +x {folder}/tool ;;
esac
rmdir {folder}/lock
"""


def test_threads_that_lack_a_program_install_it_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    apt = tmp_path / "apt-get"
    apt.write_text(APT.format(folder=tmp_path))
    apt.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setattr(installs.os, "geteuid", lambda: 0)
    with ThreadPoolExecutor(3) as lanes:
        found = list(lanes.map(lambda _: installs.ensure_program("tool", "a-package"), range(3)))
    assert found == [str(tmp_path / "tool")] * 3
    said = (tmp_path / "said").read_text().splitlines()
    assert [line for line in said if "install" in line] == [
        "-o DPkg::Lock::Timeout=300 install -y -qq --no-install-recommends a-package"
    ]
