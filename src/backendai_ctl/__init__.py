"""backendai-ctl: sets up, migrates, checks and mends a Backend.AI site. Stands alone."""
