"""Fixtures and header lines for all tests; the servers are in `tests.servers`."""

from __future__ import annotations

from hypothesis import HealthCheck, settings
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

# How quick a machine is says nothing of what is tested.
settings.register_profile("lakecore", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("lakecore")


def pytest_report_header() -> list[str]:
    """What this machine lacks for some of the tests: said, never skipped in silence."""
    return describe_servers()
