"""Checks of a host before and after installation."""
