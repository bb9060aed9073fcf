"""nginx as docs/http.md configures it: auth_request asks the agent."""

import re

from processes import PATIENCE, ROOT, Process, wait_until
from redis import reserve_port
from web import get

DOCS = (ROOT / "docs/http.md").read_text()
SHOWN = re.search(r"^```nginx\n(.*?)^```", DOCS, re.MULTILINE | re.DOTALL)[1]

AROUND = """
daemon off;
worker_processes 1;
error_log stderr;
pid {directory}/nginx.pid;
events {{ worker_connections 4096; }}
http {{
    access_log off;
    client_body_buffer_size 2m;
    client_body_temp_path {directory}/body;
    proxy_temp_path {directory}/proxy;
    fastcgi_temp_path {directory}/fastcgi;
    uwsgi_temp_path {directory}/uwsgi;
    scgi_temp_path {directory}/scgi;
{shown}
}}
"""


def configuration(directory, port, agent, origin, changes):
    shown = SHOWN
    for old, new in (("listen 80;", f"listen 127.0.0.1:{port} backlog=1024;"),
                     ("127.0.0.1:8080", agent), ("127.0.0.1:8000", origin), *changes):
        assert shown.count(old) == 1, old
        shown = shown.replace(old, new)
    return AROUND.format(directory=directory, shown=shown)


class Nginx(Process):
    """Between the origin and the agent, on a port of loopback. `changes` are pairs of what the
    recipe says and what stands in its place."""

    def __init__(self, directory, agent, origin, changes=()):
        self.port, reserved = reserve_port()
        config = directory / "nginx.conf"
        config.write_text(configuration(directory, self.port, agent, origin, changes))
        reserved.close()
        super().__init__(["/usr/sbin/nginx", "-p", directory, "-c", config],
                         directory / "nginx.log")
        wait_until(self.is_up, f"nginx, see {self.output}", PATIENCE)

    def is_up(self):
        """Whether nginx answers. It is asked from an address that no test uses."""
        assert self.is_running(), self.output.read_text()
        try:
            return get(self.port, "127.0.0.254").status == 200
        except OSError:
            return False

    def finish(self):
        """Stops nginx; its worker ends with it."""
        self.stop()
