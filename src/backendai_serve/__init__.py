"""What services start in: tells systemd when the server is well. Standard library only."""
