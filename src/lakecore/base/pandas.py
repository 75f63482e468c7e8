"""pandas, kept out of a process until something needs it.

pyarrow imports it, where it is installed, as soon as a list becomes an array: a quarter of the
time of a short command.
"""

from __future__ import annotations

import sys


class _Nowhere:
    """A finder of modules that finds pandas nowhere.

    (An entry of None in `sys.modules` would do for imports; libraries that look there for the
    module itself trip over it.)
    """

    @staticmethod
    def find_spec(name: str, path: object = None, target: object = None) -> None:
        if name == "pandas":
            raise ModuleNotFoundError("this program goes without pandas", name=name)


def keep_pandas_out() -> None:
    """Have imports of pandas fail, from here on, as if it were not installed."""
    if _Nowhere not in sys.meta_path:
        sys.meta_path.insert(0, _Nowhere)


def let_pandas_in() -> None:
    """Have it imported again, where it is installed: for a library that cannot go without."""
    if _Nowhere in sys.meta_path:
        sys.meta_path.remove(_Nowhere)
