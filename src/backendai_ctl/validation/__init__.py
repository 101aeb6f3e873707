"""Is a site file good: its values, what they are together, and on this host."""
