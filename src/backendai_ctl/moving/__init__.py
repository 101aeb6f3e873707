"""The way of a site from Debian's own servers to those that it brings along.

Release 26.9.6-1 had its data in the PostgreSQL, Valkey and etcd of the host. The step move-servers takes
it from there, once. When no host comes from that release any more, this package, that step, its test
and the lines that name it are deleted.
"""
