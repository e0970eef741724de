"""`python -m lmprep` is `lmprep`."""

from lmprep.cli import main

main()
