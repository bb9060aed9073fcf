"""An agent that gives every request the same answer, for verdicts that a real agent rarely
gives."""

import socketserver
import struct
import threading
import time

import spop


def ack(request, variables):
    actions = b"".join(
        bytes([spop.SET_VAR, 3, spop.SCOPE_TXN]) + spop.string(name) + spop.typed(value)
        for name, value in variables.items())
    return spop.frame(spop.ACK, actions, stream_id=request.stream_id, frame_id=request.frame_id)


AGENT_HELLO = spop.frame(spop.AGENT_HELLO, spop.items([
    ("version", "2.0"), ("max-frame-size", spop.Typed(spop.UINT32, spop.FRAME_SIZE)),
    ("capabilities", "pipelining")]))


class Handler(socketserver.StreamRequestHandler):
    def handle(self):
        while length := self.rfile.read(4):
            request = spop.parse_frame(self.rfile.read(struct.unpack(">I", length)[0]))
            # One write for each frame: HAProxy 3.2 resets a connection when its AGENT-HELLO comes
            # in pieces.
            if request.type == spop.HELLO:
                self.wfile.write(AGENT_HELLO)
            elif request.type == spop.NOTIFY:
                time.sleep(self.server.seconds)
                self.wfile.write(ack(request, self.server.variables))
            else:
                return


class FakeAgent(socketserver.ThreadingTCPServer):
    daemon_threads = True
    request_queue_size = 128

    seconds = 0  # that it takes for each answer

    def __init__(self, variables):
        super().__init__(("127.0.0.1", 0), Handler)
        self.variables = variables
        self.address = f"127.0.0.1:{self.server_address[1]}"
        self.thread = threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True)
        self.thread.start()

    def handle_error(self, *_):
        pass  # HAProxy resets the connections of its checks

    def __exit__(self, *_):
        self.shutdown()
        self.thread.join()
        self.server_close()


class SlowAgent(FakeAgent):
    def __init__(self, variables, seconds):
        self.seconds = seconds
        super().__init__(variables)
