"""What a run needs besides task and criterion: its plan, its start, its failures, retrieval while validating."""
