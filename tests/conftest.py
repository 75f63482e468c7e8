"""Fixtures and header lines for all tests; the servers are in `tests.servers`."""

from __future__ import annotations

from tests.servers import (
    azure_account,
    describe_servers,
    model_server,
    s3_endpoint,
    small_disk,
    spark_cluster,
    spark_endpoint,
)

__all__ = [
    "azure_account",
    "model_server",
    "s3_endpoint",
    "small_disk",
    "spark_cluster",
    "spark_endpoint",
]


def pytest_report_header() -> list[str]:
    """What this machine lacks for some of the tests: said, never skipped in silence."""
    return describe_servers()
