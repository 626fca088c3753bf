"""How much of what is annotated in a set of pictures the real pipeline hides, and what it hides besides."""
