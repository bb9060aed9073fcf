"""The application behind HAProxy, which counts what reaches it."""

import http.server
import threading


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self):
        self.server.count()
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        body = b"from the origin\n"
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_GET

    def log_message(self, *_):  # pylint: disable=arguments-differ
        pass


class Origin(http.server.ThreadingHTTPServer):
    request_queue_size = 1024
    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.address = f"127.0.0.1:{self.server_port}"
        self.requests, self.lock = 0, threading.Lock()
        self.thread = threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True)
        self.thread.start()

    def count(self):
        with self.lock:
            self.requests += 1

    def handle_error(self, *_):
        pass  # HAProxy was killed while it held a connection

    def __exit__(self, *_):
        self.shutdown()
        self.thread.join()
        self.server_close()
