"""`ppa-evaluate select`: the checkpoints of a run, converted one by one and ranked by retrieval."""
