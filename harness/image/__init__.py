"""Images: what a guest starts from, how it is built, kept and verified."""
