"""Starting, following and steering runs: what the control API and the scheduled starter do."""
