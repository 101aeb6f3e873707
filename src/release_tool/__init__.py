"""Look at, check and carry releases. Needs Python 3.9 and its standard library; ships in the bundle."""
