"""The proxies, run by the configurations that docs/proxies.md shows."""

import json
import re

import yaml

import nginx
from processes import PATIENCE, ROOT, Process, wait_until
from redis import reserve_port
from web import get

PAGE = (ROOT / "docs/proxies.md").read_text()
PROGRAMS = ROOT / "build/proxies/bin"
# Asks for the proxy's own readiness come from an address that no test uses.
NOBODY = "127.0.0.254"
# The addresses that the page has.
WEB, INTERNAL = ":80", "127.0.0.1:8081"
AGENT, SITE = "127.0.0.1:8080", "127.0.0.1:8000"
# A busy machine is no reason to go on without the agent, where a test is about something else.
PATIENT = [("500ms", "60s"), ("0.5s", "60s"), ("100ms", "60s")]


def shown(title):
    """The block of the page whose first line is the comment `# title`."""
    found = re.findall(rf"^```\w*\n(# {re.escape(title)}\n.*?)^```", PAGE, re.M | re.S)
    assert len(found) == 1, f"docs/proxies.md has {len(found)} blocks {title!r}"
    return found[0]


def replace_all(text, replacements):
    """Replaces all of the old texts at once, so that no new text is replaced again."""
    longest_first = sorted(dict(replacements), key=len, reverse=True)
    return re.sub("|".join(map(re.escape, longest_first)),
                  lambda found: dict(replacements)[found[0]], text)


def merged(base, changes):
    """A YAML document in which mappings are joined, and other values are replaced."""
    if not isinstance(base, dict) or not isinstance(changes, dict):
        return changes
    return {**base, **{name: merged(base.get(name), value) for name, value in changes.items()}}


class Proxy(Process):
    """A proxy on the port `port` of loopback, between the addresses of an agent and of a site.
    `edits` are (old, new) replacements in the configuration."""

    # What an address that no test uses gets.
    ready_status = 200

    def __init__(self, directory, agent_address, site_address, edits=(), is_patient=True):
        self.directory, self.edits = directory, list(edits)
        self.patience = PATIENT if is_patient else []
        self.agent_address, self.site_address = agent_address, site_address
        (self.port, web), (self.second_port, second) = reserve_port(), reserve_port()
        # nginx 1.22 has HTTP/2 without TLS on a port of its own.
        self.http2_port = self.port
        command = self.command()
        assert not self.edits, f"nothing was there to replace: {self.edits}"
        web.close()
        second.close()
        # Caddy keeps files in its user's home.
        super().__init__(command, directory / "proxy.log", env={
            "XDG_CONFIG_HOME": str(directory), "XDG_DATA_HOME": str(directory)})
        wait_until(self.is_up, f"the proxy, see {self.output}", PATIENCE)

    def command(self):
        """Writes the configuration, and returns the command that runs it."""
        raise NotImplementedError

    def own(self, text, *addresses):
        """A file of the page with the addresses of this test, and with its edits."""
        for edit in [edit for edit in self.edits if edit[0] in text]:
            text = text.replace(*edit)
            self.edits.remove(edit)
        return replace_all(text, [*addresses, *self.patience])

    def write(self, name, text):
        path = self.directory / name
        path.write_text(text)
        return path

    def is_up(self):
        assert self.is_running(), self.output.read_text()
        try:
            return get(self.port, NOBODY).status == self.ready_status
        except OSError:
            return False


class Traefik(Proxy):
    """Without a way to go on when the agent is away."""

    static, dynamic = "traefik.yml", "site.yml"
    has_internal = False
    changes = ()

    def documents(self):
        for title in (self.static, self.dynamic):
            document = yaml.safe_load(shown(title))
            for change in self.changes:
                if change.startswith(title.partition(",")[0]):
                    document = merged(document, yaml.safe_load(shown(change)))
            yield yaml.safe_dump(document)

    def command(self):
        internal = [(INTERNAL, f"127.0.0.1:{self.second_port}")] if self.has_internal else []
        static, dynamic = self.documents()
        agent = [(AGENT, self.agent_address), (SITE, self.site_address)]
        site = self.write("site.yml", self.own(dynamic, *agent, *internal))
        # Traefik asks the world for new versions unless it is told not to.
        static = "global: {checkNewVersion: false}\n" + self.own(
            static, (WEB, f"127.0.0.1:{self.port}"), ("/etc/traefik/site.yml", str(site)),
            *internal)
        return [PROGRAMS / "traefik", f"--configFile={self.write('traefik.yml', static)}"]


class TraefikFailover(Traefik):
    static, dynamic = "traefik.yml, with failover", "site.yml, with failover"
    has_internal = True


class TraefikBehindCdn(TraefikFailover):
    ready_status = 429  # for who does not come by the CDN
    changes = ("traefik.yml, what changes behind a CDN", "site.yml, what changes behind a CDN")


class Caddy(Proxy):
    def page(self):
        return shown("Caddyfile")

    def command(self):
        text = self.own(self.page(), (":80 {", f"http://:{self.port} {{\n\tbind 127.0.0.1"),
                        (AGENT, self.agent_address), (SITE, self.site_address))
        text = "{\n\tadmin off\n\tservers {\n\t\tprotocols h1 h2c\n\t}\n}\n" + text
        return [PROGRAMS / "caddy", "run", "--adapter", "caddyfile", "--config",
                self.write("Caddyfile", text)]


class CaddyBehindCdn(Caddy):
    ready_status = 429

    def page(self):
        lines = shown("in forward_auth, behind a CDN").partition("\n")[2]
        return super().page().replace("\t\t\turi /auth?from=caddy\n", lines)


class Envoy(Proxy):
    def page(self):
        return shown("envoy.yaml")

    def command(self):
        def socket(address):
            host, port = address.split(":")
            return f"{{address: {host}, port_value: {port}}}"

        text = self.own(self.page(),
                        (socket("0.0.0.0:80"), socket(f"127.0.0.1:{self.port}")),
                        (socket(AGENT), socket(self.agent_address)),
                        (socket(SITE), socket(self.site_address)),
                        (f"http://{AGENT}", f"http://{self.agent_address}"))
        # Two Envoys on one machine share memory, unless each has a number of its own.
        return [PROGRAMS / "envoy", "--concurrency", 1, "--use-dynamic-base-id", "-c",
                self.write("envoy.yaml", text)]


class EnvoyBehindCdn(Envoy):
    ready_status = 429

    def page(self):
        prefix = "/auth?from=envoy&xff=2&uri="
        assert f"`{prefix}`" in PAGE
        return super().page().replace("/auth?from=envoy&uri=", prefix)


class Nginx(Proxy):
    """The recipe of docs/http.md, and the lines with which nginx passes websockets on."""

    WEBSOCKETS = ("; proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade; "
                  "proxy_set_header Connection $upgrade")

    def command(self):
        self.http2_port = self.second_port
        shown = "map $http_upgrade $upgrade { default upgrade; '' ''; }\n" + self.own(
            nginx.SHOWN, ("listen 80;", f"listen 127.0.0.1:{self.port} backlog=4096; "
                          f"listen 127.0.0.1:{self.second_port} http2;"),
            (AGENT, self.agent_address), (SITE, self.site_address + self.WEBSOCKETS))
        text = nginx.AROUND.format(directory=self.directory, shown=shown)
        return ["/usr/sbin/nginx", "-p", self.directory, "-c", self.write("nginx.conf", text)]

    def finish(self):
        """Stops nginx; its worker ends with it."""
        self.stop()


class IngressNginx(Nginx):
    """Debian's nginx with those lines that ingress-nginx makes for a location."""

    LINES = """
user root;
daemon off;
worker_processes 1;
error_log stderr;
pid {directory}/nginx.pid;
events {{ worker_connections 8192; }}
http {{
    access_log off;
    client_body_temp_path {directory}/body;
    proxy_temp_path {directory}/proxy;
    fastcgi_temp_path {directory}/fastcgi;
    uwsgi_temp_path {directory}/uwsgi;
    scgi_temp_path {directory}/scgi;
{real_ip}
    map $http_upgrade $connection_upgrade {{ default upgrade; '' ''; }}
    server {{
        listen 127.0.0.1:{port} backlog=4096;
        listen 127.0.0.1:{http2} http2;
{server_snippet}
        location = /_external-auth {{
            internal;
            proxy_pass_request_body off;
            proxy_set_header Content-Length "";
            proxy_set_header X-Forwarded-Proto "";
            proxy_set_header Host {auth_host};
            proxy_set_header X-Original-URL $scheme://$http_host$request_uri;
            proxy_set_header X-Original-Method $request_method;
            proxy_set_header X-Sent-From "nginx-ingress-controller";
            proxy_set_header X-Real-IP $remote_addr;
            proxy_set_header X-Forwarded-For $remote_addr;
            proxy_set_header X-Auth-Request-Redirect $request_uri;
            proxy_buffering off;
            proxy_buffer_size 4k;
            proxy_buffers 4 4k;
            proxy_request_buffering on;
            proxy_pass_request_headers on;
            client_max_body_size 1m;
{auth_snippet}
            proxy_http_version 1.1;
            set $target {auth_url};
            proxy_pass $target;
        }}
        location / {{
            auth_request /_external-auth;
            auth_request_set $auth_cookie $upstream_http_set_cookie;
            add_header Set-Cookie $auth_cookie;
            client_max_body_size 1m;
            proxy_set_header Host $http_host;
            proxy_set_header Upgrade $http_upgrade;
            proxy_set_header Connection $connection_upgrade;
            proxy_set_header X-Real-IP $remote_addr;
            proxy_set_header X-Forwarded-For $remote_addr;
            proxy_set_header X-Forwarded-Host $http_host;
            proxy_set_header X-Forwarded-Proto $scheme;
            proxy_buffering off;
            proxy_http_version 1.1;
{location_snippet}
            proxy_pass http://{site};
        }}
    }}
}}
"""

    def page(self):
        return yaml.safe_load(shown("ingress-nginx.yaml"))

    def command(self):
        service = "ratelimit-spoa.ratelimit-spoa.svc.cluster.local:8080"
        text = self.own(json.dumps(self.page()["data"]), (service, self.agent_address))
        data = json.loads(text)
        real_ip = "" if data.pop("use-forwarded-headers", "false") == "false" else (
            "real_ip_header X-Forwarded-For; real_ip_recursive on; "
            f"set_real_ip_from {data.pop('proxy-real-ip-cidr')};")
        self.http2_port = self.second_port
        text = self.LINES.format(
            directory=self.directory, port=self.port, http2=self.second_port,
            site=self.site_address,
            real_ip=real_ip, auth_host=self.agent_address.partition(":")[0],
            auth_url=data.pop("global-auth-url"),
            auth_snippet=data.pop("global-auth-snippet", ""),
            location_snippet=data.pop("location-snippet", ""),
            server_snippet=data.pop("server-snippet", ""))
        assert not data, data
        return ["/usr/sbin/nginx", "-p", self.directory, "-c", self.write("nginx.conf", text)]


class IngressNginxBehindCdn(IngressNginx):
    def page(self):
        return merged(super().page(), yaml.safe_load(
            shown("ingress-nginx.yaml, what changes behind a CDN")))


RECIPES = {"traefik": Traefik, "traefik-failover": TraefikFailover, "caddy": Caddy,
           "envoy": Envoy, "nginx": Nginx, "ingress-nginx": IngressNginx}
# Those that go on without the agent.
GOES_ON = [name for name in RECIPES if name != "traefik"]
BEHIND_CDN = {"traefik": TraefikBehindCdn, "caddy": CaddyBehindCdn, "envoy": EnvoyBehindCdn,
              "ingress-nginx": IngressNginxBehindCdn}
