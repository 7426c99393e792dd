"""What predictions are made from: the snapshot of the newest features of every ticker, and what may go live on it."""
