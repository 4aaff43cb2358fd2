"""`python -m regionware.demo`."""

from regionware.demo.command import main

if __name__ == "__main__":
    main()
