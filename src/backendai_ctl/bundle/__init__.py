"""Is a bundle what its publisher signed: the judgement that this host makes by its own programs."""
