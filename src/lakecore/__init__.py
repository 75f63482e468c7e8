"""Lakecore: a lakehouse that can prove what happened in it."""

from lakecore._version import __version__

__all__ = ["__version__"]
