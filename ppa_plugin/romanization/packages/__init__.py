"""Romanizers of other packages, a file each: optional, and imported where a group file names one (`PACKAGED`)."""
