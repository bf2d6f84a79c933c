"""From any script to Latin letters: romanizers, their cache, and whole files in parallel."""
