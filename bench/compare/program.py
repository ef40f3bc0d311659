"""Processes of ours: started on their cores, waited for, looked after, stopped."""

import os
import resource
import signal
import socket
import subprocess
import time

from measure import family, read

START_SECONDS = 10
LOG_TAIL = 4000  # characters of a log that an error tells


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def listens(address):
    """Whether somebody accepts at a path (unix socket) or a port of 127.0.0.1."""
    unix = isinstance(address, str)
    with socket.socket(socket.AF_UNIX if unix else socket.AF_INET) as probe:
        return probe.connect_ex(address if unix else ("127.0.0.1", address)) == 0


def raise_limits():
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


class Program:
    """One process with a log."""

    def __init__(self, name, cores, command, log):
        self.name, self.log = name, log
        with open(log, "w", encoding="utf-8") as output:
            self.process = subprocess.Popen(["taskset", "-c", cores, *command], stdout=output, stderr=output,
                                            stdin=subprocess.DEVNULL, preexec_fn=raise_limits)

    def error(self, what):
        tail = read(self.log)[-LOG_TAIL:].strip()
        return RuntimeError("%s %s; its log: %s" % (self.name, what, tail or "empty"))

    def await_listener(self, address):
        deadline = time.monotonic() + START_SECONDS
        while not listens(address):
            self.check()
            if time.monotonic() > deadline:
                raise self.error("does not listen after %d s" % START_SECONDS)
            time.sleep(0.02)

    def check(self):
        if self.process.poll() is not None:
            raise self.error("has ended with status %d" % self.process.returncode)

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


class Programs:
    """Some that belong together, with a folder for their files."""

    def __init__(self, folder):
        self.folder, self.running = folder, []
        os.makedirs(folder, exist_ok=True)

    def path(self, name):
        return os.path.join(self.folder, name)

    def write(self, name, text):
        with open(self.path(name), "w", encoding="utf-8") as file:
            file.write(text)
        return self.path(name)

    def run(self, name, cores, command, address):
        """Starts one and waits until it listens at the address."""
        self.running.append(Program(name, cores, command, self.path(name + ".log")))
        self.running[-1].await_listener(address)

    def pids(self):
        return [pid for program in self.running for pid in family(program.process.pid)]

    def check(self):
        for program in self.running:
            program.check()

    def stop(self):
        while self.running:
            self.running.pop().stop()
