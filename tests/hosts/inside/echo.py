"""An app of a session that shows what it is sent, and tries to set cookies. Runs inside a container.

Its only argument is the port.
"""

from __future__ import annotations

import http.server
import json
import sys


class Echo(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = json.dumps([[key.lower(), value] for key, value in self.headers.items()]).encode()
        self.send_response(200)
        self.send_header("Set-Cookie", "AIOHTTP_SESSION=of-the-app; Path=/; Secure")
        self.send_header("Set-Cookie", "mine=kept; Path=/")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing."""


http.server.ThreadingHTTPServer(("0.0.0.0", int(sys.argv[1])), Echo).serve_forever()
