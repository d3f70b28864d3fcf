"""Run the command `animeinterp` as `python -m animeinterp`."""

from animeinterp.cli import main

if __name__ == "__main__":
    main()
