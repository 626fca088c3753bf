"""The four file formats as byte structures: what a header says, what a decoder needs, what metadata is put where.

No pixel is decoded here. Nothing that these modules read is trusted: counts and sizes are bounded before they are used,
and whatever does not add up raises CorruptImage, ValueError, IndexError or struct.error.
"""
