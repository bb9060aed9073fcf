"""The site behind the proxies. It keeps what reaches it, and answers websockets."""

import http.server
import threading
from typing import NamedTuple


class Seen(NamedTuple):
    """A request that reached the site."""
    method: str
    target: str
    headers: dict
    body_bytes: int


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def answer(self):
        size = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(size)
        names = {name.lower(): value for name, value in self.headers.items()}
        self.server.keep(Seen(self.command, self.path, names, len(body)))
        if names.get("upgrade", "").lower() == "websocket":
            self.echo()
            return
        if self.path == "/cut":
            self.close_connection = True
            return
        content = b"from the site\n"
        self.send_response(403 if self.path == "/forbidden" else self.server.status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def __getattr__(self, name):
        if name.startswith("do_"):  # of any method
            return self.answer
        raise AttributeError(name)

    def echo(self):
        """After the handshake of a websocket: what comes goes back."""
        self.send_response(101)
        self.send_header("Upgrade", "websocket")
        self.send_header("Connection", "Upgrade")
        self.end_headers()
        self.close_connection = True
        while data := self.connection.recv(4096):
            self.connection.sendall(data)

    def log_message(self, *_):  # pylint: disable=arguments-differ
        pass


class Site(http.server.ThreadingHTTPServer):
    request_queue_size = 1024
    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.address = f"127.0.0.1:{self.server_port}"
        self.seen, self.lock, self.status = [], threading.Lock(), 200
        self.thread = threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True)
        self.thread.start()

    def keep(self, request):
        with self.lock:
            self.seen.append(request)

    @property
    def requests(self):
        return len(self.seen)

    def handle_error(self, *_):
        pass  # a proxy went away while it held a connection

    def finish(self):
        self.shutdown()
        self.thread.join()
        self.server_close()
