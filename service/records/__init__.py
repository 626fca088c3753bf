"""What is remembered: receipts and keys. SQL lives here and nowhere else."""
