"""Which events of a file have an id that a caller supplied.

A member of a segment's footer and of the header of staged direct events, ``supplied``, is
there when some have: {count, rows, duplicates}. `rows` is a bitmap, a bit for each row from
the highest of the first byte on, zlib and base64: a segment's has 11 KiB at most, and some
thirty bytes when all rows have one. `duplicates` are rows whose id was sealed before, or is
in the segment twice: two machines took it at the same time.

A column would say the same; the footer is what a stub keeps, and what is read anyway.
"""

from __future__ import annotations

import base64
import binascii
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lakecore.base import CorruptData

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Supplied:
    """See the module; `bits` is the bitmap's text."""

    count: int
    bits: str
    duplicates: tuple[int, ...] = ()

    @classmethod
    def of(cls, rows: Mask, duplicates: tuple[int, ...] = ()) -> Supplied:
        """The member for the marked rows of a file."""
        import numpy as np

        packed = zlib.compress(np.packbits(rows).tobytes())
        return cls(int(rows.sum()), base64.b64encode(packed).decode(), duplicates)

    def rows(self, count: int) -> Mask:
        """The marks of `count` rows.

        Raises:
            CorruptData: the bitmap is none, or not of so many rows.
        """
        import numpy as np

        try:
            packed = base64.b64decode(self.bits, validate=True)
            # Bounded: damaged bytes must not unpack into more than was asked for.
            data = zlib.decompressobj().decompress(packed, count // 8 + 2)
            rows = np.unpackbits(np.frombuffer(data, np.uint8), count=count).astype(bool)
        except (binascii.Error, zlib.error, ValueError) as error:
            raise CorruptData("the marks of supplied ids do not decode", found=error) from error
        if len(data) != (count + 7) // 8 or int(rows.sum()) != self.count:
            raise CorruptData(
                "the marks of supplied ids are not of these events",
                expected=f"{self.count} of {count}",
                found=f"{int(rows.sum())} of {len(data) * 8}",
            )
        return rows

    def to_json(self) -> dict[str, Any]:
        content: dict[str, Any] = {"count": self.count, "rows": self.bits}
        return content | ({"duplicates": list(self.duplicates)} if self.duplicates else {})

    @classmethod
    def from_json(cls, content: Mapping[str, Any] | None) -> Supplied | None:
        """None for None: no event has one."""
        if content is None:
            return None
        duplicates = tuple(int(row) for row in content.get("duplicates", ()))
        return cls(int(content["count"]), str(content["rows"]), duplicates)
