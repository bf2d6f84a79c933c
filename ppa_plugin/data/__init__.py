"""Pair data: vocabulary, masking, the paired dataset and its packed batches."""
