"""What scripts/reproduce, bench-build and bench-start are made of. Never shipped."""
