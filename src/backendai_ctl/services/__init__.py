"""Units of the site on this host: their drop-ins, why they restart, starting them."""
