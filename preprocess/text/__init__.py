"""Where raw text comes from, and which of its lines are kept."""
