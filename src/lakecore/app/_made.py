"""Parts that are made when they are first used, and once, whichever threads come first."""

from __future__ import annotations

import functools
import threading
from typing import TYPE_CHECKING, Any, Final, TypeVar

_T = TypeVar("_T")
_MAKING: Final = threading.RLock()
"""One for all: a part is made of others, and two locks would be taken in either order."""


class cached_property(functools.cached_property[_T]):  # noqa: N801 - it stands for functools' own
    """As that of `functools`, which from Python 3.12 on lets two threads make two of it."""

    if not TYPE_CHECKING:  # its types are those of functools' own

        def __get__(self, instance: Any, owner: type | None = None) -> Any:
            if instance is None:
                return self
            if self.attrname in instance.__dict__:
                return instance.__dict__[self.attrname]
            with _MAKING:
                return super().__get__(instance, owner)
