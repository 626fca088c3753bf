"""The composition root: builds everything once, closes everything. Nobody else constructs infrastructure."""
