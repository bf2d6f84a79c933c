"""`ppa-evaluate suite`: the matrix models x tasks x sources x seeds, cell by cell, resumable."""
