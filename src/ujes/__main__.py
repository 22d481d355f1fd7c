"""`python -m ujes`."""

from ujes.cli.main import main

if __name__ == "__main__":
    main()
