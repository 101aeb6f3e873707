"""Pants backend: targets and rules that turn components into PEX, deb and rpm.

Thin on purpose: what happens to files is in `releasekit`, whose programs the rules run in sandboxes.
"""
