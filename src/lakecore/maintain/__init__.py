"""Upkeep: compaction, checkpoints, vacuum and retention, by themselves and journaled."""
