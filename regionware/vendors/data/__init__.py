"""One file for each vendor: dated data."""
