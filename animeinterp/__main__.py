"""`python -m animeinterp` is the command `animeinterp`."""

from animeinterp.cli import main

if __name__ == "__main__":
    main()
