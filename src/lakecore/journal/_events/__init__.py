"""One event: its fields and rules (`event`, `rules`, `batch`), and its canonical form (`leaf`)."""
