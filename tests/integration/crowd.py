"""Many clients at once in one thread, each with a connection of its own and one request at a time."""

import re
import select
import time

from http_client import connect

HEAD = re.compile(rb"HTTP/1\.1 (\d{3}) .*?\r\n\r\n", re.S)
LENGTH = re.compile(rb"\r\nContent-Length: (\d+)\r\n", re.I)


class Client:
    def __init__(self, number, address):
        self.number, self.sock = number, connect(address)
        self.sock.setblocking(False)
        self.buffer, self.done, self.sent_at = b"", 0, 0.0

    def send(self, text):
        self.sent_at = time.monotonic()
        self.sock.send(text)

    def answer(self):
        """-> (status, body) when it is whole; answers with a length only."""
        data = self.sock.recv(65536)
        if not data:
            raise EOFError("client %d: closed before the answer" % self.number)
        self.buffer += data
        head = HEAD.match(self.buffer)
        if not head:
            return None
        end = head.end() + int(LENGTH.search(head.group(0)).group(1))
        if len(self.buffer) < end:
            return None
        body, self.buffer = self.buffer[head.end():end], self.buffer[end:]
        return int(head.group(1)), body


class Crowd:
    """`rounds` requests of each client; results: (client, status, body, seconds) in order of arrival."""

    def __init__(self, address, clients, target="/", method="GET"):
        self.clients = [Client(number, address) for number in range(clients)]
        body = b"x" * 100 if method == "POST" else b""
        self.request = ("%s %s HTTP/1.1\r\nHost: serin.test\r\nContent-Length: %d\r\n\r\n" % (
            method, target, len(body))).encode() + body
        self.results = []

    def run(self, rounds, deadline=60.0):
        poll = select.epoll()
        by_fd = {client.sock.fileno(): client for client in self.clients}
        for fd, client in by_fd.items():
            poll.register(fd, select.EPOLLIN)
            client.send(self.request)
        end = time.monotonic() + deadline
        left = rounds * len(self.clients)
        while left:
            ready = poll.poll(max(0, end - time.monotonic()))
            if not ready:
                raise AssertionError("stalled with %d answers missing" % left)
            for fd, _ in ready:
                client = by_fd[fd]
                answer = client.answer()
                if answer is None:
                    continue
                client.done += 1
                left -= 1
                self.results.append((client.number, *answer, time.monotonic() - client.sent_at))
                if client.done < rounds:
                    client.send(self.request)
        poll.close()
        return self.results

    def spread(self):
        """The most that a client was ahead of another, in requests answered."""
        done = [0] * len(self.clients)
        worst = 0
        for number, *_ in self.results:
            done[number] += 1
            worst = max(worst, done[number] - min(done))
        return worst

    def close(self):
        for client in self.clients:
            client.sock.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
