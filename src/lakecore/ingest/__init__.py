"""Files into datasets: every record of a file is either in, or in quarantine with a reason.

A file goes through here in one pass, in bounded memory:

    open_source: what is it --> batches with types --> contract --> keys --> tables
                        \\-- records that are none, values that do not fit --> system.quarantine

=================  =====================================================================
`_ingest`          files into a dataset, one mutation each; the crash windows
`_source`          the port of all readers; which reader a file gets
`_delimited`       CSV and TSV (`_dialect`, `_types`, `_locate`, `_ahead`: its parts)
`_json`, `_excel`  records that are objects (`_rows`, `_shape`: their columns)
`_columnar`        Parquet and Arrow (`_storable`: the map of types)
`_compressed`      gzip, zstd, zip
`_files`           what one pass over the bytes tells: hash, size, encoding
`_names`           column names from any header
`_contract`        evolve, freeze, quarantine
`_keys`            null and repeated keys
`_quarantine`      the dataset of what did not get in (`_reject`: until then)
`_ports`           what ingest needs of tables and catalog
=================  =====================================================================

>>> from pathlib import Path; from tempfile import mkdtemp
>>> from lakecore.ingest import open_source
>>> path = Path(mkdtemp()) / "planes.csv"
>>> _ = path.write_text("tailnum;seats\\nN10156;55\\nN102UW;NA\\nN103US;182;new\\n")
>>> source = open_source(path)
>>> source.batches().read_all().to_pylist()
[{'tailnum': 'N10156', 'seats': 55}, {'tailnum': 'N102UW', 'seats': None}]
>>> [(reject.line, reject.text) for reject in source.rejects()]
[(4, 'N103US;182;new')]
>>> source.close()
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lakecore.base.lazy import lazy_exports
from lakecore.ingest._options import FORMATS, NULL_MARKERS, IngestOptions
from lakecore.ingest._progress import NoProgress, Progress, terminal_progress

if TYPE_CHECKING:
    from lakecore.ingest._base import TypesChanged
    from lakecore.ingest._files import check_file
    from lakecore.ingest._ingest import FilePreview, IngestResult, ingest
    from lakecore.ingest._quarantine import QUARANTINE, quarantine_schema
    from lakecore.ingest._reject import Reject
    from lakecore.ingest._source import Source, open_source

_HOME = {
    "QUARANTINE": "_quarantine",
    "FilePreview": "_ingest",
    "IngestResult": "_ingest",
    "Reject": "_reject",
    "Source": "_source",
    "TypesChanged": "_base",
    "check_file": "_files",
    "ingest": "_ingest",
    "open_source": "_source",
    "quarantine_schema": "_quarantine",
}

__all__ = [
    "FORMATS",
    "NULL_MARKERS",
    "QUARANTINE",
    "FilePreview",
    "IngestOptions",
    "IngestResult",
    "NoProgress",
    "Progress",
    "Reject",
    "Source",
    "TypesChanged",
    "check_file",
    "ingest",
    "open_source",
    "quarantine_schema",
    "terminal_progress",
]


# Readers load Arrow and more: not before a file is opened.
__getattr__ = lazy_exports(__name__, _HOME)
