"""A proxy between the agent and Redis that can be slow, swallow everything, or break
connections."""

import asyncio
import collections
import socket
import struct
import threading

from redis import reserve_port


class Pipe(asyncio.Protocol):
    """One end of a connection. It sends the bytes that arrive to `other`, in order, after the
    delay."""

    def __init__(self, proxy, direction):
        self.proxy, self.direction = proxy, direction
        self.transport, self.other, self.is_swallowed = None, None, False
        self.is_cut_next = False
        self.queue = collections.deque()  # (when it is due, the data or None for the end)

    def connection_made(self, transport):
        self.transport = transport
        self.proxy.pipes.add(self)

    def data_received(self, data):
        if self.is_cut_next:
            self._put(data[:len(data) // 2])
            self._put(None)
            self.transport.abort()
            return
        self.proxy.bytes[self.direction] += len(data)
        self._put(data)

    def eof_received(self):
        self._put(None)
        return True

    def connection_lost(self, exc):
        self.proxy.pipes.discard(self)
        self._put(None)

    def join(self, other):
        self.other = other
        self._forward()

    def _put(self, data):
        loop, delay = asyncio.get_running_loop(), self.proxy.delays[self.direction]
        self.queue.append((loop.time() + delay, data))
        if delay:
            loop.call_later(delay, self._forward)
        else:
            self._forward()

    def _forward(self):
        """Sends the bytes that are due. Bytes behind others that are not yet due wait with them:
        the timer of the others calls this, too."""
        now = asyncio.get_running_loop().time() + 0.001
        while self.queue and self.queue[0][0] <= now and self.other is not None:
            data = self.queue.popleft()[1]
            if self.is_swallowed or self.other.transport.is_closing():
                continue
            if data is None:
                self.other.transport.close()
            else:
                self.other.transport.write(data)


class TcpProxy:
    """Listens on a port of its own and passes all bytes on to `target`, a (host, port).

    The test's thread calls the methods; each has taken effect when it returns.
    """

    TO_TARGET, TO_CLIENT = range(2)

    def __init__(self, target):
        self.target = target
        self.port, self.reserved = reserve_port()
        self.url = f"redis://127.0.0.1:{self.port}"
        self.pipes, self.delays, self.bytes, self.connections = set(), [0, 0], [0, 0], 0
        self.is_hole_for_new, self.server = False, None
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()
        self.accept()

    def _do(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(10)

    # --- what a test does to the wire ---

    def set_delay(self, seconds, direction=TO_CLIENT):
        async def change():
            self.delays[direction] = seconds
        self._do(change())

    def swallow(self, existing=True, new=True):
        """Leaves connections half-open: nothing is delivered, not even their end. New connections
        are accepted and treated alike."""
        async def change():
            self.is_hole_for_new = new
            for pipe in self.pipes if existing else ():
                pipe.is_swallowed = True
        self._do(change())

    def deliver_new(self):
        """Delivers on new connections only. Those that were swallowed stay so, as if the other
        end were gone."""
        async def change():
            self.is_hole_for_new = False
        self._do(change())

    def cut(self):
        """Ends all connections; new ones are accepted."""
        async def change():
            for pipe in list(self.pipes):
                pipe.transport.abort()
        self._do(change())

    def cut_in_reply(self):
        """Ends each connection in the middle of what the target sends next on it."""
        async def change():
            for pipe in self.pipes:
                pipe.is_cut_next = pipe.direction == self.TO_CLIENT
        self._do(change())

    def refuse(self):
        async def change():
            self.server.close()
        self._do(change())

    def accept(self):
        async def change():
            # With the protocol named, asyncio turns Nagle's algorithm off for accepted connections.
            listener = socket.socket(proto=socket.IPPROTO_TCP)
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(("127.0.0.1", self.port))
            self.server = await self.loop.create_server(self._accepted, sock=listener)
        self._do(change())

    def finish(self):
        async def end():
            self.server.close()
            for pipe in list(self.pipes):
                pipe.transport.abort()
        self._do(end())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join()
        self.loop.close()
        self.reserved.close()

    # --- the loop's thread ---

    def _accepted(self):
        self.connections += 1
        client = Pipe(self, self.TO_TARGET)
        client.is_swallowed = self.is_hole_for_new
        if not client.is_swallowed:
            self.loop.create_task(self._connect(client))
        return client

    async def _connect(self, client):
        try:
            _, server = await self.loop.create_connection(
                lambda: Pipe(self, self.TO_CLIENT), *self.target)
        except OSError:
            # Always a reset, also when nothing was sent, so that the agent gives one reason.
            client.transport.get_extra_info("socket").setsockopt(
                socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            client.transport.abort()
            return
        server.is_swallowed = client.is_swallowed
        server.join(client)
        client.join(server)
