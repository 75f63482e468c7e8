"""What an endpoint answered, read as a stranger's. No I/O."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from lakecore.base import InvalidInput

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

_MOST_TOLD: Final = 200


class _Row(msgspec.Struct):
    index: int
    embedding: list[float]


class _Answer(msgspec.Struct):
    data: list[_Row]


_ANSWER: Final = msgspec.json.Decoder(_Answer)


def read_vectors(answer: bytes, count: int, *, where: str) -> npt.NDArray[np.float64]:
    """Vectors (count, d), in the order of the texts, whatever order they came in.

    Raises:
        InvalidInput: not the JSON that is needed; not one vector for each text; vectors of
            different lengths.
    """
    import numpy as np

    try:
        rows = _ANSWER.decode(answer).data
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        # The words of the decoder, not those of the server.
        raise InvalidInput(
            "the endpoint's answer is not one of embeddings",
            expected='{"data": [{"index": 0, "embedding": [numbers]}]}',
            found=str(error)[:_MOST_TOLD],
            where=where,
        ) from error
    if len(rows) != count or {row.index for row in rows} != set(range(count)):
        raise InvalidInput(
            "the endpoint's answer has not one vector for each text",
            expected=f"{count}, numbered from 0",
            found=len(rows),
            where=where,
        )
    lengths = {len(row.embedding) for row in rows}
    if len(lengths) != 1:
        raise InvalidInput(
            "the endpoint's vectors are of different lengths",
            found=", ".join(map(str, sorted(lengths)))[:_MOST_TOLD],
            where=where,
        )
    rows.sort(key=lambda row: row.index)
    return np.array([row.embedding for row in rows], np.float64)


def read_error(body: bytes, *, secret: str | None) -> str:
    """What the server says is wrong, in a few words, without the key that it was sent."""
    try:
        stored: Any = msgspec.json.decode(body[:65_536])
        error = stored["error"]
        message = error["message"] if isinstance(error, dict) else error
    except (msgspec.DecodeError, UnicodeDecodeError, KeyError, TypeError, RecursionError):
        return ""
    text = " ".join(str(message).split())
    if secret:
        text = text.replace(secret, "***")
    text = "".join(letter for letter in text if letter.isprintable())
    return f": {text[:_MOST_TOLD]}" if text else ""
