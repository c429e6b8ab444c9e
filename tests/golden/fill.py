"""Fills in the bytes of the golden vectors: `python tests/golden/fill.py`, after adding a case.

This is a second implementation of docs/FORMAT.md, written from that page and not from the Rust code,
so that the two check each other. It needs the package xxhash. A case whose bytes change means that
entries already stored can no longer be read: see "Versions" there first.
"""

from __future__ import annotations

import hashlib
import hmac
import itertools
import json
import re
import struct
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote_to_bytes

import xxhash

HERE = Path(__file__).parent
NEVER = 2**64 - 1
KINDS = {"user": b"u", "view": b"v", "memoize": b"m", "fragment": b"f"}
CONTAINERS = {"list": 0x08, "tuple": 0x09, "set": 0x0B, "frozenset": 0x0C}
SIZED = {"bytes": 0x07, "bytearray": 0x0E}


def number(value: int) -> bytes:
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def signed(value: int) -> bytes:
    return number(2 * value if value >= 0 else -2 * value - 1)


def sized(value: bytes) -> bytes:
    return number(len(value)) + value


def integer(value: int) -> bytes:
    if -(2**63) <= value < 2**63:
        return b"\x03" + signed(value)
    magnitude = abs(value).to_bytes((abs(value).bit_length() + 7) // 8, "big")
    return bytes([0x04, value < 0]) + sized(magnitude)


def key_value(value: Any) -> bytes:
    """One value in the encoding of keys."""
    if value is None or isinstance(value, bool):
        return {None: b"\x00", False: b"\x01", True: b"\x02"}[value]
    if isinstance(value, str):
        return b"\x06" + sized(value.encode())
    [(word, content)] = value.items()
    if word == "int":
        return integer(int(content))
    if word == "float":
        return b"\x05" + struct.pack(">d", float(content))
    if word == "bytes":
        return b"\x07" + sized(bytes.fromhex(content))
    if word == "object":
        return b"\x0c" + sized(content[0].encode()) + key_value(content[1])
    if word == "map":
        pairs = sorted((key_value(key), key_value(member)) for key, member in content)
        return b"\x0a" + number(len(pairs)) + b"".join(key + member for key, member in pairs)
    members = [key_value(member) for member in content]
    if word == "set":
        members.sort()
    return bytes([CONTAINERS[word]]) + number(len(members)) + b"".join(members)


def text_or_hex(value: str | dict[str, str]) -> bytes:
    return value.encode() if isinstance(value, str) else bytes.fromhex(value["bytes"])


def key(case: dict[str, Any]) -> bytes:
    base = text_or_hex(case["base"])
    variant = b"".join(map(key_value, case.get("variant", [])))
    return KINDS[case["kind"]] + struct.pack(">I", len(base)) + base + variant


def safe(value: Any) -> bytes:
    """One value in the safe codec."""
    if value is None or isinstance(value, bool):
        return {None: b"\x00", False: b"\x01", True: b"\x02"}[value]
    if isinstance(value, str):
        content = value.encode()
        short = len(content) < 64
        return bytes([0x40 + len(content)]) + content if short else b"\x06" + sized(content)
    [(word, content)] = value.items()
    if word == "int":
        small = 0 <= int(content) < 128
        return bytes([0x80 + int(content)]) if small else integer(int(content))
    if word == "float":
        return b"\x05" + struct.pack(">d", float(content))
    if word == "float_bits":
        return b"\x05" + bytes.fromhex(content)
    if word == "nest":
        return b"\x08\x01" * (content - 1) + b"\x08\x00"
    if word in SIZED:
        return bytes([SIZED[word]]) + sized(bytes.fromhex(content))
    if word in CONTAINERS:
        members = b"".join(map(safe, content))
        return bytes([CONTAINERS[word]]) + number(len(content)) + members
    if word == "map":
        pairs = b"".join(safe(key) + safe(member) for key, member in content)
        return b"\x0a" + number(len(content)) + pairs
    return safe_rare(word, content)


def safe_rare(word: str, content: Any) -> bytes:
    if word == "wide":
        return b"\x0d" + sized("".join(map(chr, content)).encode("utf-8", "surrogatepass"))
    if word == "date":
        return b"\x0f" + date(content)
    if word == "time":
        return b"\x10" + time(content)
    if word == "datetime":
        return b"\x11" + date(content["date"]) + time(content)
    if word == "timedelta":
        days, seconds, microseconds = content
        return b"\x12" + signed(days) + number(seconds) + number(microseconds)
    if word == "decimal":
        return b"\x13" + sized(content.encode())
    if word == "uuid":
        return b"\x14" + bytes.fromhex(content.replace("-", ""))
    if word == "markup":
        return b"\x15" + sized(content.encode())
    if word == "page":
        headers = b"".join(sized(part.encode()) for pair in content["headers"] for part in pair)
        count = number(len(content["headers"]))
        body = sized(content["body"].encode())
        return b"\x16" + struct.pack(">H", content["status"]) + count + headers + body
    assert word == "opaque", word
    return b"\x17" + sized(content["codec"].encode()) + sized(bytes.fromhex(content["bytes"]))


def date(fields: list[int]) -> bytes:
    return struct.pack(">HBB", *fields)


def time(fields: dict[str, Any]) -> bytes:
    hour, minute, second, microsecond = fields["time"]
    zone = fields["zone"]
    fold = 4 if fields.get("fold") else 0
    if zone is None:
        tail = bytes([fold])
    elif isinstance(zone, int):
        tail = bytes([fold + 1]) + signed(zone)
    else:
        tail = bytes([fold + 2]) + sized(zone.encode())
    return bytes([hour, minute, second]) + number(microsecond) + tail


def point(value: int | str) -> int:
    return NEVER if value == "never" else int(value)


def after(earlier: int, later: int) -> bytes:
    return number(0 if later == NEVER else later - earlier + 1)


def tag(value: dict[str, str]) -> bytes:
    [(space, name)] = value.items()
    return sized({"user": b"u", "function": b"f"}[space] + name.encode())


def times(meta: dict[str, Any]) -> bytes:
    names = ("stored_at", "fresh_until", "stale_until", "spare_until", "keep_until")
    points = [point(meta[name]) for name in names]
    out = number(points[0])
    for earlier, later in itertools.pairwise(points):
        out += after(earlier, later)
    return out + number(meta["retry_at"]) + number(meta["cost_ns"])


def compressed(payload: bytes) -> bytes:
    """A payload that ends in a run of one byte, in a frame of zstd (RFC 8878) of two blocks: what
    stands in front of the run as it is, and the run as its byte and length."""
    front = payload.rstrip(payload[-1:])
    blocks = block(0, len(front)) + front
    blocks += block(1, len(payload) - len(front), last=True) + payload[-1:]
    return number(len(payload)) + b"\x28\xb5\x2f\xfd\xa0" + struct.pack("<I", len(payload)) + blocks


def block(kind: int, size: int, *, last: bool = False) -> bytes:
    return struct.pack("<I", last | kind << 1 | size << 3)[:3]


def envelope(case: dict[str, Any], *, packed: bool = False) -> bytes:
    meta, fence = case["meta"], case["fence"]
    body = times(meta) + number(len(meta["tags"])) + b"".join(map(tag, meta["tags"]))
    body += number(fence["all"]) + number(fence["base"]) + number(fence["sequence"])
    body += number(len(fence["tags"])) + b"".join(map(number, fence["tags"]))
    payload = safe(case["value"])
    body += sized(key(case["key"])) + (compressed(payload) if packed else payload)
    namespace, secret = case["namespace"].encode(), case["secret"]
    length = 11 + len(body) + (8 if secret is None else 32)
    flags = (secret is not None) | packed << 1 | meta.get("is_head", False) << 2
    head = b"\xf5LRD" + bytes([2, flags, case["codec"]]) + struct.pack(">I", length)
    return head + body + ending(namespace, secret, head + body)


def ending(namespace: bytes, secret: str | None, content: bytes) -> bytes:
    if secret is None:
        seed = xxhash.xxh3_64_intdigest(namespace, 0)
        return struct.pack(">Q", xxhash.xxh3_64_intdigest(content, seed))
    # HKDF of RFC 5869 for a key of one block: extract, then expand.
    extracted = hmac.digest(b"larder", secret.encode(), hashlib.sha256)
    derived = hmac.digest(extracted, b"envelope seal 1\x01", hashlib.sha256)
    return hmac.digest(derived, sized(namespace) + content, hashlib.sha256)


def shared_page(case: dict[str, Any]) -> bytes:
    """The key of a page that a Flask application and a Rust service have in common."""
    raw: str = case["path"]
    decoded = unquote_to_bytes(raw).decode("utf-8", "replace")
    reserved = "!$&'()*+,;=:@/%"
    # Unreserved characters decoded, everything else as it stands, hexadecimal digits in upper case.
    path = re.sub("%..", lambda found: found[0].upper(), quote(raw, safe=reserved))
    path = re.sub("%(2D|2E|5F|7E|3[0-9]|[46][1-9A-F]|[57][0-9A])", unquoted, path)
    host = case["host"].lower().removesuffix({"http": ":80", "https": ":443"}[case["scheme"]])
    variant: list[Any] = ["page", octets(path), "GET", case["scheme"], octets(host), octets("")]
    wanted = case.get("parameters")
    pairs = [pair for pair in (case.get("query") or "").split("&") if pair]
    if wanted is not None:
        pairs = [pair for pair in pairs if pair.partition("=")[0] in wanted]
    pairs.sort(key=lambda pair: pair.partition("=")[0])
    has_query = "query" in case or wanted is not None
    variant.append({"list": [octets(pair) for pair in pairs]} if has_query else None)
    sent = dict(case.get("headers", []))
    for name in sorted(case.get("vary", [])):
        values = [octets(sent[name])] if name in sent else []
        variant.append({"object": ["header", {"tuple": [name, {"list": values}]}]})
    cookies = dict(pair.split("=") for pair in sent.get("cookie", "").split("; ") if pair)
    for name in sorted(case.get("cookies", [])):
        values = [octets(cookies[name])] if name in cookies else []
        variant.append({"object": ["cookie", {"tuple": [name, {"list": values}]}]})
    base = f"view//{decoded.lstrip('/')}"
    return key({"kind": "user", "base": base, "variant": variant})


def unquoted(found: re.Match[str]) -> str:
    return unquote_to_bytes(found[0]).decode()


def octets(text: str) -> dict[str, str]:
    return {"bytes": text.encode("latin-1").hex()}


def fill(name: str, encode: Any, digest: bool = False) -> None:
    path = HERE / f"{name}.json"
    cases = json.loads(path.read_text())
    for case in cases:
        case["hex"] = encode(case).hex()
        if digest:
            case["digest"] = xxhash.xxh3_128_hexdigest(bytes.fromhex(case["hex"]), 0)
    lines = ",\n".join(json.dumps(case, ensure_ascii=False) for case in cases)
    path.write_text(f"[\n{lines}\n]\n")


if __name__ == "__main__":
    fill("keys", key, digest=True)
    fill("values", lambda case: safe(case["value"]))
    fill("pages", shared_page, digest=True)
    fill("envelopes", envelope)
    fill("packed", lambda case: envelope(case, packed=True))
