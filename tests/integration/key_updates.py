"""A TLS 1.3 client that asks for new keys on and on and reads nothing: OpenSSL through ctypes, Python's ssl cannot."""

import ctypes
import ctypes.util
import socket

REQUESTED = 1  # SSL_KEY_UPDATE_REQUESTED


class KeyUpdateClient:
    def __init__(self, port, timeout):
        self.lib = lib = ctypes.CDLL(ctypes.util.find_library("ssl"))
        pointers = {"TLS_client_method": [], "SSL_CTX_new": ["p"], "SSL_new": ["p"]}
        for name, arguments in pointers.items():
            function = getattr(lib, name)
            function.restype, function.argtypes = ctypes.c_void_p, [ctypes.c_void_p for _ in arguments]
        lib.SSL_set_fd.argtypes = [ctypes.c_void_p, ctypes.c_int]
        lib.SSL_key_update.argtypes = [ctypes.c_void_p, ctypes.c_int]
        for name in ("SSL_connect", "SSL_do_handshake"):
            getattr(lib, name).argtypes = [ctypes.c_void_p]
        self.socket = socket.socket()
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self.socket.settimeout(timeout)
        self.socket.connect(("127.0.0.1", port))
        self.socket.setblocking(True)
        self.ssl = lib.SSL_new(lib.SSL_CTX_new(lib.TLS_client_method()))
        lib.SSL_set_fd(self.ssl, self.socket.fileno())
        assert lib.SSL_connect(self.ssl) == 1

    def ask(self):
        """False: the server has had enough."""
        return self.lib.SSL_key_update(self.ssl, REQUESTED) == 1 and self.lib.SSL_do_handshake(self.ssl) == 1
