"""How the plate detector is made: synthetic plates on real photographs, training, mining, comparison, export.

Needs the dependency group `training`. `python -m training --help` lists the commands; docs/how-to/train-plates.md
says in which order they are used. Nothing here is part of the running service.
"""
