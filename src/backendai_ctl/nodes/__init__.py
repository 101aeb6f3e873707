"""The nodes of a site: which of them this host is, and what runs where."""
