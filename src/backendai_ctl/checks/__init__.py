"""Checks of a host before and after installation: `backendai-ctl doctor`."""
