"""Signing and proofs: keys, checkpoints, tiles, proofs, witnesses; over `lakecore.tlog`."""
