"""A process that updates a text index over and over, to be killed; see the test beside it.

``fulltext_worker.py FOLDER ROUND``: update number *n* puts ``n`` into every row, deletes some rows
and adds others; its number is printed when it has returned.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pyarrow as pa

from lakecore.fulltext import TextIndex

ROWS = 200


def rows_of(number: int) -> pa.Table:
    """Update number `number`: all rows, and some more text the higher the number."""
    keys = [f"row{at}" for at in range(ROWS)]
    text = f"update{number} " + " ".join(f"word{(number * 7 + at) % 97}" for at in range(40))
    return pa.table({"key": [*keys, f"once{number}"], "text": [text] * ROWS + [f"once {number}"]})


def main() -> None:
    """Update until somebody ends it."""
    index = TextIndex.open(Path(sys.argv[1]))
    number = int(sys.argv[2])
    while True:
        number += 1
        gone = [f"once{number - 1}"]
        index.update(rows_of(number), gone, heap_bytes=16 * 2**20)
        print(number, flush=True)


if __name__ == "__main__":
    main()
