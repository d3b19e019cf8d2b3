"""`python -m flows.doctor`."""

from flows.doctor.examine import main

main()
