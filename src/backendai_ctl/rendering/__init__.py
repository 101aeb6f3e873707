"""Configuration files of the components: rendering and three-way merge."""
