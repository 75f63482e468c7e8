"""Sealed, pending and hot events read as one (`scan`), and questions to them (`pages`)."""
