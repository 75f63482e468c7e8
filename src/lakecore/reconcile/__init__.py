"""What others committed to our tables, journaled; tables held against the journal."""
