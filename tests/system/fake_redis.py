"""Servers that behave as Redis never does."""

import contextlib
import socket
import socketserver
import threading


class Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, handler):
        super().__init__(("127.0.0.1", 0), handler)
        self.url = f"redis://127.0.0.1:{self.server_address[1]}"
        self.connections = 0
        self.thread = threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True)
        self.thread.start()

    def process_request(self, request, client_address):
        self.connections += 1
        super().process_request(request, client_address)

    def handle_error(self, *_):
        pass  # the agent closed a connection

    def finish(self):
        self.shutdown()
        self.thread.join()
        self.server_close()


class Parrot(Server):
    """Sends `greeting` to each new connection and `reply` to each command; with None it sends
    nothing."""

    def __init__(self, greeting=b"", reply=None, then_close=False):
        self.greeting, self.reply, self.then_close = greeting, reply, then_close
        super().__init__(ParrotHandler)


class ParrotHandler(socketserver.StreamRequestHandler):
    disable_nagle_algorithm = True

    def handle(self):
        server = self.server
        self.wfile.write(server.greeting)
        while not server.then_close and read_value(self.rfile):
            if server.reply is not None:
                self.wfile.write(server.reply)


class StandIn(Server):
    """Replies to the first commands of a connection as some server does: `info` are the lines of
    INFO, `settings` what CONFIG GET shows, `script` the reply to SCRIPT LOAD. It runs no script."""

    def __init__(self, info, settings=(), script=None):
        self.replies = {
            b"INFO": bulk("\r\n".join(info)), b"SCRIPT": script or bulk("0" * 40),
            b"EVALSHA": b"-ERR it runs no script\r\n", b"PING": b"+PONG\r\n", b"SELECT": b"+OK\r\n", b"PTTL": b":-2\r\n"}
        self.settings = dict(settings)
        super().__init__(StandInHandler)


def bulk(text):
    return f"${len(text)}\r\n{text}\r\n".encode()


class StandInHandler(socketserver.StreamRequestHandler):
    disable_nagle_algorithm = True

    def handle(self):
        server = self.server
        while command := read_value(self.rfile):
            words = command.split(b"\r\n")[2::2]
            if words[0] == b"CONFIG":
                name = words[2].decode()
                shown = [name, server.settings[name]] if name in server.settings else []
                self.wfile.write(f"*{len(shown)}\r\n".encode() + b"".join(map(bulk, shown)))
            else:
                self.wfile.write(server.replies[words[0]])


class Flood(Server):
    """Sends one reply that never ends: a line, or the value that `start` begins."""

    def __init__(self, start=b"+"):
        self.start = start
        super().__init__(FloodHandler)


class FloodHandler(socketserver.BaseRequestHandler):
    def handle(self):
        self.request.sendall(self.server.start)
        while True:
            self.request.sendall(b"x" * 65536)


class Forger(Server):
    """Passes commands on to a real Redis. When `forge` is set, it gets the reply to a script and
    returns the reply that the agent gets. With `is_piecemeal` each byte is sent by its own
    write."""

    def __init__(self, target, handler=None):
        self.target, self.forge, self.is_piecemeal = target, None, False
        super().__init__(handler or ForgerHandler)


class ForgerHandler(socketserver.StreamRequestHandler):
    disable_nagle_algorithm = True

    def handle(self):
        with contextlib.ExitStack() as stack:
            redis = stack.enter_context(socket.create_connection(self.server.target))
            replies = stack.enter_context(redis.makefile("rb"))
            while command := read_value(self.rfile):
                if refused := self.refuse(command):
                    self.wfile.write(refused)
                    continue
                redis.sendall(command)
                reply = read_value(replies)
                if self.server.forge and b"EVALSHA" in command[:20].upper():
                    reply = self.server.forge(reply)
                for piece in self._pieces(reply):
                    self.wfile.write(piece)

    def refuse(self, command):
        """The error in place of a reply, or None."""

    def _pieces(self, reply):
        if not self.server.is_piecemeal:
            return [reply]
        return [reply[n:n + 1] for n in range(len(reply))]


def read_value(file):
    """The bytes of one value of the Redis protocol."""
    line = file.readline()
    if line[:1] == b"$" and int(line[1:]) >= 0:
        return line + file.read(int(line[1:]) + 2)
    if line[:1] == b"*":
        return line + b"".join(read_value(file) for _ in range(max(int(line[1:]), 0)))
    return line
