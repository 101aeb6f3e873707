"""What the host offers: files, programs, units, names, protocols. Knows nothing of a site."""
