"""Check a proof of Lakecore's journal, without Lakecore: plain Python and nothing else.

    python check_proof.py row.tlog-proof row.entry 'lakecore/...+0a1b2c3d+AQ...'

The three are what was given to you: the proof, the event's text, and the verifier key of
the log, which should have come another way than the other two. Checked are

1. the leaf:      SHA-256 of a zero byte and the event's text;
2. the path:      hashed with the leaf, it leads to the root in the checkpoint;
3. the signature: the key signed the checkpoint, which has the key's name as its origin.

Exit code 0: all three hold. 1: one does not. 2: something is not of the form it should have.
3: leaf and path hold, and the signature could not be checked, because the library
`cryptography` is not installed.
"""

from __future__ import annotations

import hashlib
import sys
from base64 import b64decode


def main() -> int:
    if len(sys.argv) != 4:
        print(__doc__, file=sys.stderr)
        return 2
    try:
        with open(sys.argv[1], encoding="utf-8", newline="") as file:
            index, path, note = read_proof(file.read())
        with open(sys.argv[2], "rb") as file:
            entry = file.read()
        text, signatures = read_note(note)
        origin, size, root = read_checkpoint(text)
        name, key_id, public_key = read_key(sys.argv[3])
    except (OSError, ValueError) as error:
        print(f"cannot be read: {error}", file=sys.stderr)
        return 2

    leaf = hashlib.sha256(b"\x00" + entry).digest()
    print(f"leaf       {leaf.hex()}")
    found = root_of(leaf, index, size, path)
    if found != root:
        print(f"WRONG      the path does not lead to the root {root.hex()} of {origin}")
        return 1
    print(f"root       {root.hex()}: the event is entry {index} of {size}")
    if origin != name:
        print(f"WRONG      the checkpoint is of {origin}, the key of {name}")
        return 1
    mine = [data[4:] for who, data in signatures if (who, data[:4]) == (name, key_id)]
    if not mine:
        print(f"WRONG      no signature by {name}+{key_id.hex()}")
        return 1
    try:
        is_signed = all(verify(public_key, signature, text) for signature in mine)
    except ImportError:
        print("UNCHECKED  the signature: `pip install cryptography` to check it")
        return 3
    if not is_signed:
        print(f"WRONG      the signature by {name}+{key_id.hex()}")
        return 1
    print(f"signature  by {name}+{key_id.hex()}")
    return 0


def read_proof(text: str) -> tuple[int, list[bytes], str]:
    """Index, path and checkpoint of a c2sp.org/tlog-proof@v1."""
    head, gap, note = text.partition("\n\n")
    lines = head.split("\n")
    if not gap or lines.pop(0) != "c2sp.org/tlog-proof@v1":
        raise ValueError("not a proof")
    if lines and lines[0].startswith("extra "):
        lines.pop(0)
    if not lines or not lines[0].startswith("index "):
        raise ValueError("the proof has no index")
    return number(lines.pop(0)[len("index ") :]), [hash_in(line) for line in lines], note


def read_note(note: str) -> tuple[str, list[tuple[str, bytes]]]:
    """The text of a signed note, and (name, key id and signature) of each signature."""
    text, gap, lines = note.rpartition("\n\n")
    signatures = []
    for line in lines.splitlines():
        dash, name, data = line.split(" ")
        if dash != "\N{EM DASH}":
            raise ValueError("not a signature line")
        signatures.append((name, b64decode(data, validate=True)))
    if not gap:
        raise ValueError("not a signed note")
    return text + "\n", signatures


def read_checkpoint(text: str) -> tuple[str, int, bytes]:
    """Origin, size and root."""
    origin, size, root, *_ = text.split("\n")
    return origin, number(size), hash_in(root)


def read_key(text: str) -> tuple[str, bytes, bytes]:
    """Name, key id and Ed25519 key of ``<name>+<key id>+<base64(0x01, key)>``."""
    if text.count("+") < 2:
        raise ValueError(f"a verifier key is <name>+<key id>+<key>, not {text[:80]!r}")
    name, key_id, data = text.split("+", 2)
    material = b64decode(data, validate=True)
    if len(material) != 33 or material[0] != 1:
        raise ValueError("not an Ed25519 key")
    expected = hashlib.sha256(name.encode() + b"\n" + material).digest()[:4]
    if expected.hex() != key_id:
        raise ValueError("the key id is not that of the key")
    return name, expected, material[1:]


def root_of(leaf: bytes, index: int, size: int, path: list[bytes]) -> bytes | None:
    """The root that leaf and path lead to (RFC 9162, 2.1.3.2); None for a path that cannot be."""
    if index >= size:
        return None
    last = size - 1
    for sibling in path:
        if last == 0:
            return None
        if index % 2 or index == last:
            leaf = hashlib.sha256(b"\x01" + sibling + leaf).digest()
            while index % 2 == 0 and index:
                index, last = index // 2, last // 2
        else:
            leaf = hashlib.sha256(b"\x01" + leaf + sibling).digest()
        index, last = index // 2, last // 2
    return leaf if last == 0 else None


def verify(public_key: bytes, signature: bytes, text: str) -> bool:
    """Is this the Ed25519 signature of the text? `ImportError` when that cannot be told."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    try:
        Ed25519PublicKey.from_public_bytes(public_key).verify(signature, text.encode())
    except InvalidSignature:
        return False
    return True


def number(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 20):
        raise ValueError(f"not a number: {text[:40]!r}")
    return int(text)


def hash_in(text: str) -> bytes:
    data = b64decode(text, validate=True)
    if len(data) != 32:
        raise ValueError("not a SHA-256")
    return data


if __name__ == "__main__":
    sys.exit(main())
