"""Runs a notebook by the kernel that the image has, as `jupyter execute` does; prints it. In a session.

The word is the notebook as JSON.
"""

import os
import pathlib
import subprocess
import sys

path = pathlib.Path("/home/work/of-test.ipynb")
path.write_text(sys.argv[1])
call = ["jupyter", "execute", "--inplace", str(path)]
# Not what its start-up sets for programs of its own: a terminal of the session has neither.
variables = {**os.environ, "HOME": "/home/work"}
done = subprocess.run(call, env=variables, capture_output=True, text=True, check=False)
print(path.read_text() if done.returncode == 0 else done.stderr)
path.unlink()
