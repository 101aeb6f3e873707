"""Programs, files and units of the host."""
