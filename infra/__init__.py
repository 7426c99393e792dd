"""What the product runs on: the pipeline's state machine, alarms and dashboard, and the local stack."""
