"""Romanizers of other packages, one file each: known by name, imported where one is named, optional extras all."""
