"""Where direct events are acknowledged: the hot log (`log`), or the remote store (`direct`)."""
