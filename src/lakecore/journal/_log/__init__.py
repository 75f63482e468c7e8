"""The sealed log: segments (`segment`, `footers`), and how events get there (`seal`)."""
