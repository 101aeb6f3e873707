"""What an operator, a package or a timer asks for as a whole; commands of `cli` call these."""
