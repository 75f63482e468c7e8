"""Do the installed deltalake and datafusion understand each other?"""

from __future__ import annotations

import tempfile
from importlib.metadata import version

from lakecore.base import Stop


def check_versions() -> dict[str, str]:
    """Read a tiny Delta table through DataFusion; the versions of both when that works.

    They exchange tables over a C interface that changes with DataFusion's major version: a
    wrong pair fails, or crashes, at the first query.

    Raises:
        Stop: they do not fit together.
    """
    versions = {name: version(name) for name in ("datafusion", "deltalake")}
    try:
        found = _sum_of_three()
    except Exception as error:
        found = f"{type(error).__name__}: {error}"
    if found != 6:
        raise Stop(
            "deltalake and datafusion do not fit together",
            expected="6 from a table of 1, 2, 3",
            found=found,
            where=", ".join(f"{name} {number}" for name, number in versions.items()),
            hint="install the pair that lakecore pins",
        )
    return versions


def _sum_of_three() -> object:
    import pyarrow as pa
    from datafusion import SessionContext
    from deltalake import DeltaTable, write_deltalake

    with tempfile.TemporaryDirectory(prefix="lakecore-check-") as place:
        write_deltalake(place, pa.table({"x": pa.array([1, 2, 3], pa.int64())}))
        context = SessionContext()
        context.register_table("t", DeltaTable(place))
        return context.sql("select sum(x) as total from t").to_pydict()["total"][0]
