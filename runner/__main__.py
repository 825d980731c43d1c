"""`python -m runner` is `podmedic`."""

from runner.cli import main

if __name__ == "__main__":
    main()
