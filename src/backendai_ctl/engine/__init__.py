"""What a step is, how steps are run, and what is kept of a run."""
