"""What `./pants` runs before Pants: fetch by hash, assemble, set up. Standard library only."""
