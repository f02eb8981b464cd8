"""``python -m mswin_viz.cli``."""

from mswin_viz.cli.app import main

if __name__ == "__main__":
    main()
