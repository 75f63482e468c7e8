"""Texts and vectors, checked on the way in and on the way out. No I/O."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final, Protocol

from lakecore.base import InvalidInput
from lakecore.base.limits import MIB

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Vectors = npt.NDArray[np.float32]

MAX_TEXTS: Final = 1_000_000
"""Texts of one call: at 384 numbers 1.5 GB of vectors."""

MAX_TEXT_BYTES: Final = 1 * MIB


class Embedder(Protocol):
    """Texts as vectors. Threads may share one."""

    @property
    def name(self) -> str:
        """The model with a hash of what decides about its vectors: other vectors, other name."""

    @property
    def dimension(self) -> int:
        """Numbers of a vector."""

    def embed(self, texts: Sequence[str]) -> Vectors:
        """A row of `dimension` numbers (float32) of unit length for each text, in their order.

        Raises:
            InvalidInput: a text that is empty, too long, or none.
        """


def check_texts(texts: Sequence[str]) -> list[str]:
    """`texts`, each of which can be embedded.

    Raises:
        InvalidInput: too many, one that is blank, more than 1 MiB or no valid text.
    """
    if isinstance(texts, str):
        raise InvalidInput("texts to embed are a list", found="one text")
    if len(texts) > MAX_TEXTS:
        raise InvalidInput(
            "too many texts for one call",
            expected=f"at most {MAX_TEXTS:,}",
            found=f"{len(texts):,}",
        )
    for at, text in enumerate(texts):
        if not isinstance(text, str):
            raise InvalidInput(
                "only text can be embedded", found=type(text).__name__, where=f"text {at}"
            )
        if not text or text.isspace():
            raise InvalidInput(
                "an empty text has no meaning to embed",
                where=f"text {at}",
                hint="leave rows without text out",
            )
        try:
            size = len(text.encode())
        except UnicodeEncodeError:
            raise InvalidInput(
                "no valid text", found=ascii(text)[:80], where=f"text {at}"
            ) from None
        if size > MAX_TEXT_BYTES:
            raise InvalidInput(
                "a text to embed is too long",
                expected=f"at most {MAX_TEXT_BYTES:,} bytes",
                found=f"{size:,}",
                where=f"text {at}",
            )
    return list(texts)


def check_count(what: str, value: int, most: int) -> None:
    """Raises:
    InvalidInput: not within 1 and `most`.
    """
    if not isinstance(value, int) or not 1 <= value <= most:
        raise InvalidInput(f"not a number for {what}", expected=f"1 to {most}", found=value)


def unit_rows(vectors: Any, where: str) -> Vectors:
    """`vectors` (n, d) as float32 of unit length.

    Raises:
        InvalidInput: a number that is none, or a vector without a direction.
    """
    import numpy as np

    rows = np.asarray(vectors, np.float64)
    largest = np.abs(rows).max(axis=1, keepdims=True, initial=0)
    if not np.isfinite(largest).all() or not (largest > 0).all():
        raise InvalidInput("a vector has no direction: NaN, infinite or zero", where=where)
    # By the largest number first: squares of very large or small ones are none.
    rows = rows / largest
    unit: Vectors = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
    return unit
