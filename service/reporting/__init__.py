"""Reports for people: what was processed, how, by whom, and how well. Made from receipts, a page at a time."""
