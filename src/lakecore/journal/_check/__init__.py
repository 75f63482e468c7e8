"""Whether the journal is what was sealed (`verify`), and all of it there (`completeness`)."""
