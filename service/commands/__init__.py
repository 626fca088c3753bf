"""The commands of `veil`, one file for each thing that an operator has in hand."""
