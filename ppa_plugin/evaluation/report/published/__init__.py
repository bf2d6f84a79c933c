"""Published figures beside a run's: read from CSV files, checked against themselves, compared cell by cell."""
