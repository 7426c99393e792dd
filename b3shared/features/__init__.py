"""From cleaned quotes to features, labels and the training table."""
