"""Fine-tuning on one language and testing on all: labelled sets, recipes, scores."""
