"""Volumes: the folders in which users' files live."""
