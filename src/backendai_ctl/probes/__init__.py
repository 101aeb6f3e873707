"""Asking services and servers how they are, without logging in."""
