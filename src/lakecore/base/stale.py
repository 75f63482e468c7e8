"""An answer that is not as new as it could be: a warning, since it is an answer all the same."""

from __future__ import annotations


class StaleAnswer(UserWarning):
    """An answer is a replica's: its text says which one's, and how old it is."""
