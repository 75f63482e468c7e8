"""The built pages: read once, packed once, served with a policy that lets no foreign script run.

Names under ``assets/`` have a hash of their content in them, so a browser may keep them for
ever; the page that names them is asked for anew each time.
"""

from __future__ import annotations

import gzip
import hashlib
import mimetypes
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final

from lakecore.base import NotFound

FOLDER: Final = Path(__file__).parent / "_assets"
INDEX: Final = "index.html"
_HASHED: Final = "assets/"
_PACKED_TYPES: Final = ("text/", "application/json", "image/svg+xml")
_PACK_LEVEL: Final = 6

# Styles of elements are set by script (CSSOM), which no policy forbids: no inline style is needed.
POLICY: Final = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "font-src 'self'",
        "connect-src 'self'",
        "worker-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
        "trusted-types 'none'",
    )
)


@dataclass(frozen=True)
class Asset:
    """One file."""

    media_type: str
    body: bytes
    is_hashed: bool

    @cached_property
    def etag(self) -> str:
        return f'"{hashlib.sha256(self.body).hexdigest()[:32]}"'

    @cached_property
    def packed(self) -> bytes | None:
        """As gzip; None where that is not shorter."""
        if not self.media_type.startswith(_PACKED_TYPES):
            return None
        packed = gzip.compress(self.body, _PACK_LEVEL, mtime=0)
        return packed if len(packed) < len(self.body) else None


class Assets:
    """All files of the built pages, by their path.

    Args:
        folder: where they are; None: in the package.

    Raises:
        NotFound: they are not built.
    """

    def __init__(self, folder: Path | None = None) -> None:
        folder = folder or FOLDER
        if not (folder / INDEX).is_file():
            raise NotFound(
                "the pages of the control plane are not built",
                where=folder,
                hint="make web, or install Lakecore from a wheel",
            )
        self._found = {
            name: Asset(_media_type(path), path.read_bytes(), name.startswith(_HASHED))
            for path in sorted(folder.rglob("*"))
            if path.is_file()
            for name in [path.relative_to(folder).as_posix()]
        }

    @property
    def index(self) -> Asset:
        """The page; which view it shows, its script reads from the address."""
        return self._found[INDEX]

    def get(self, name: str) -> Asset | None:
        """A file by its path, such as ``assets/index-1a2b.js``."""
        return self._found.get(name)


def _media_type(path: Path) -> str:
    found = {".js": "text/javascript", ".woff2": "font/woff2"}.get(path.suffix)
    found = found or mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    return f"{found}; charset=utf-8" if found.startswith("text/") else found
