"""What a machine lacks for a moment is no damage: told apart before a decoder's error is judged.

A codec that gets no memory says that it cannot decode, and a file that cannot be opened does
not decode either: both were told as damage of files that are whole.
"""

from __future__ import annotations

import errno
import re
from typing import Final

from lakecore.base import Unavailable
from lakecore.base.limits import GIB

_ERRORS: Final = frozenset({errno.EAGAIN, errno.EINTR, errno.EMFILE, errno.ENFILE, errno.ENOMEM})
_SIZE: Final = re.compile(r"of size (\d+)")
_CODEC_SAYS: Final = "not enough memory"
"""Of zstd: an error of the codec has no number that would tell."""


def raise_if_short(error: BaseException, where: str) -> None:
    """Raise `Unavailable` if memory or open files were lacking, and nothing otherwise."""
    if isinstance(error, MemoryError):
        # A length that is damaged asks for more than anything of ours does.
        asked = _SIZE.search(str(error))
        is_short = asked is None or int(asked[1]) <= GIB
    else:
        is_short = isinstance(error, OSError) and (
            error.errno in _ERRORS or _CODEC_SAYS in str(error)
        )
    if is_short:
        raise Unavailable(
            "the machine has no room for this now",
            found=error,
            where=where,
            hint="try again; see how much memory and how many open files there are",
        ) from error
