"""What alignment changes besides accuracy: the script barrier, and which sub-words text needs."""
