"""Applications that read a path in different ways, and that say which of their pages they serve."""

import http.server
import re
import threading
import urllib.parse

from processes import Process, wait_until
from redis import reserve_port
from web import get

# The pages of each application: one path, or all paths below one.
PAGES = [("login", "/login"), ("login", "/login/"),
         ("login", "/api/login"), ("login", "/api/login/"),
         ("api", "/api/*"), ("static", "/static/*"), ("export", "/export*"), ("search", "/search*")]

NGINX = """
daemon off;
worker_processes 1;
error_log stderr crit;
pid {directory}/nginx.pid;
events {{ worker_connections 256; }}
http {{
    access_log off;
    client_body_temp_path {directory}/body;
    proxy_temp_path {directory}/proxy;
    fastcgi_temp_path {directory}/fastcgi;
    uwsgi_temp_path {directory}/uwsgi;
    scgi_temp_path {directory}/scgi;
    large_client_header_buffers 4 32k;
    server {{
        listen 127.0.0.1:{port};
{locations}
        location / {{ return 200 other; }}
    }}
}}
"""


def page(path):
    """The page of a path that has been read."""
    for name, pattern in PAGES:
        if path == pattern or (pattern.endswith("*") and path.startswith(pattern[:-1])):
            return name
    return "other"


class NginxStandIn(Process):
    """A real nginx: it decodes once, merges slashes, and undoes dot segments of any depth."""

    def __init__(self, directory):
        self.port, reserved = reserve_port()
        self.address = f"127.0.0.1:{self.port}"
        config = directory / "nginx.conf"
        locations = "\n".join(
            f"        location {pattern[:-1] if pattern.endswith('*') else '= ' + pattern} "
            f"{{ return 200 {name}; }}" for name, pattern in PAGES)
        config.write_text(NGINX.format(directory=directory, port=self.port, locations=locations))
        reserved.close()
        super().__init__(["/usr/sbin/nginx", "-p", directory, "-c", config],
                         directory / "nginx.log")
        wait_until(self.is_up, f"nginx, see {self.output}")

    def is_up(self):
        assert self.is_running(), self.output.read_text()
        try:
            return get(self.port).status == 200
        except OSError:
            return False

    def finish(self):
        """Stops nginx; its worker ends with it."""
        self.stop()


def without_dot_segments(path):
    kept = []
    for segment in path.split("/")[1:]:
        if segment == "..":
            kept = kept[:-1]
        elif segment != ".":
            kept.append(segment)
    return "/" + "/".join(kept)


def read_without_parameters(raw):
    """As servlet containers do: parameters are cut from what was sent, then escapes are decoded."""
    path = urllib.parse.unquote(re.sub(r";[^/]*", "", raw), "latin-1")
    return without_dot_segments(re.sub(r"//+", "/", path))


def read_blind_to_case(raw):
    """As servers on Windows do: a backslash is a slash, and case makes no difference."""
    path = urllib.parse.unquote(raw, "latin-1").replace("\\", "/").lower()
    return without_dot_segments(re.sub(r"//+", "/", path))


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self):
        # self.path is not what was sent: the library merges slashes at its beginning.
        target = self.raw_requestline.decode("latin-1").split(" ")[1]
        raw = re.sub(r"^https?://[^/]*", "", target).partition("?")[0]
        body = page(self.server.read(raw)).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_GET

    def log_message(self, *_):  # pylint: disable=arguments-differ
        pass


class PythonStandIn(http.server.ThreadingHTTPServer):
    request_queue_size = 128
    daemon_threads = True

    def __init__(self, read):
        super().__init__(("127.0.0.1", 0), Handler)
        self.read, self.port = read, self.server_port
        self.address = f"127.0.0.1:{self.port}"
        self.thread = threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True)
        self.thread.start()

    def handle_error(self, *_):
        pass  # the client went away

    def finish(self):
        self.shutdown()
        self.thread.join()
        self.server_close()


STAND_INS = {
    "nginx": NginxStandIn,
    "cuts-parameters": lambda _: PythonStandIn(read_without_parameters),
    "blind-to-case": lambda _: PythonStandIn(read_blind_to_case)}
