"""What a file is made of, part by part, and what becomes of each: `dissect` for people who want to look inside."""
