"""etcd: client, seeding."""
