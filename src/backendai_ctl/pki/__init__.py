"""Certificates: the site's own authority, what it issues, and the operator's."""
