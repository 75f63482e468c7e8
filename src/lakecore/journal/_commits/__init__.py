"""Commit targets and records (`commit`), staged events (`staged`), their fates (`pending`)."""
