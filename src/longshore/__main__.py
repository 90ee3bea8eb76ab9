"""``python -m longshore`` is the command line."""

from longshore.cli import main

if __name__ == "__main__":
    main()
