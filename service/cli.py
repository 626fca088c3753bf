"""`veil` on the command line: the commands of `service.commands`, put together."""

import typer

from service.commands import bulk, capacity, keys, models, pictures, serving

main = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Hides faces and license plates in street-level photographs, on your own hardware.",
)
main.add_typer(serving.app)
main.add_typer(pictures.app)
main.add_typer(bulk.app)
main.add_typer(capacity.app)
main.add_typer(models.app, name="models")
main.add_typer(keys.app, name="keys")
