"""`python -m service` is `veil`."""

from service.cli import main

main()
