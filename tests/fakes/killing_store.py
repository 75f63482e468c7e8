"""A store whose faults are the end of the process: no handler runs, nothing is cleaned up."""

from __future__ import annotations

import os
import signal

from tests.fakes.faulty_store import FaultyStore

from lakecore.base import LakecoreError


class KillingStore(FaultyStore):
    """A `FaultyStore` that kills its process (SIGKILL) where it would raise."""

    def _planned(self, path: str) -> LakecoreError:
        os.kill(os.getpid(), signal.SIGKILL)
        return super()._planned(path)
