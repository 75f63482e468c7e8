"""Workspaces: a base version and an overlay of changes, merged or dropped."""
