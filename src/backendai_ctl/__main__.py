"""`python -m backendai_ctl`: the command backendai-ctl."""

from backendai_ctl.cli.main import main

if __name__ == "__main__":
    main()
