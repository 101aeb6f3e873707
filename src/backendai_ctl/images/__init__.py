"""Images of sessions: OCI layouts that hold them, and the site's registry, to which they are pushed."""
