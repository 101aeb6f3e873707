"""Rules of the firewall: what they say, and whether the kernel has them."""
