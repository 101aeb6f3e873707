"""The command `backend.ai` of a host. Standard library only."""
