"""`python -m assay`: the command of the checkout that it is called in, whichever is installed."""

from assay.commands.main import main

main()
