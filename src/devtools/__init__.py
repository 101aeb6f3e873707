"""The code of scripts/reproduce and scripts/bench-*. Never shipped."""
