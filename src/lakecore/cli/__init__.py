"""The command line: one module per command, over the same faces as Python.

`main` finds the command, opens the lake, and turns what comes back into text or,
with ``--json``, into one stable JSON document. Results go to stdout, everything
else to stderr. A command's module is imported when it runs, heavy libraries when
they are needed, so that ``lakecore --version`` answers at once.

Exit codes: 0 done · 1 a check failed or found something (an unexpected error, a
bug, too) · 2 bad usage or input · 3 inconclusive · 4 unavailable, try again ·
130 interrupted.

>>> from click.testing import CliRunner
>>> from lakecore.cli import root
>>> CliRunner().invoke(root, ["--version"]).output.startswith("lakecore ")
True
"""

from lakecore.cli._main import main, root

__all__ = ["main", "root"]
