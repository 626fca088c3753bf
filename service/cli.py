"""`veil` on the command line: the commands of `service.commands`, put together."""

import typer

from service.commands import bulk, capacity, evaluation, keys, models, pictures, records, review, serving, signing

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
main.add_typer(evaluation.app)
main.add_typer(models.app, name="models")
keys.app.add_typer(signing.app, name="signing")
main.add_typer(keys.app, name="keys")
main.add_typer(records.app)
main.add_typer(signing.proofs)
main.add_typer(review.app)
