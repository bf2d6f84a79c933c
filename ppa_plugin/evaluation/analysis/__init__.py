"""What alignment changes besides accuracy: the script barrier, which sub-words text needs, and whether tokens match."""
