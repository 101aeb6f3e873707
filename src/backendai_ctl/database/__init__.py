"""The manager's and the coordinator's databases: schema, dumps, first data, accounts."""
