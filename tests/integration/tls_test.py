"""TLS by OpenSSL, Python's ssl and curl: versions, names, resumption, stapling, new certificates while under load."""

import contextlib
import hashlib
import os
import re
import shutil
import signal
import ssl
import socket
import threading
import time
import unittest

from certificates import Authority
from harness import SANITIZER, SERIN, SERINCTL, SLOWNESS, SerinCase, main, wait_for
from http2_test import MIB, SHOW, download_digest
from key_updates import KeyUpdateClient

EXPIRY = "serin_tls_certificate_expiry_timestamp_seconds"


class TlsCase(SerinCase):
    def setUp(self):
        super().setUp()
        self.authority = Authority(self)
        self.tls_port = self.port()
        self.certificate, self.key = self.authority.issue("site", "serin.test")

    def start(self, tls=None, limits=None, start=True):
        root = self.script("root", "index.php", SHOW)
        self.daemon = self.serin({
            "listen": [{"address": "127.0.0.1:%d" % self.tls_port, "protocol": "https"}],
            "limits": {"temporary_directory": self.folder("spool"), **(limits or {})},
            "tls": {"certificate": self.certificate, "key": self.key, **(tls or {})}},
            blue=self.fpm("blue", root).address, blue_root=root, green_root=root, start=start)
        return self.daemon

    def context(self, alpn=None, newest=None, oldest=None):
        context = ssl.create_default_context(cafile=self.authority.certificate)
        if alpn:
            context.set_alpn_protocols(alpn)
        if newest:
            context.maximum_version = newest
        if oldest:
            context.minimum_version = oldest
        return context

    def connect(self, context=None, name="serin.test", session=None):
        raw = socket.create_connection(("127.0.0.1", self.tls_port), 20 * SLOWNESS)
        try:
            return (context or self.context()).wrap_socket(raw, server_hostname=name, session=session)
        except BaseException:
            raw.close()
            raise

    def get(self, connection, target="/"):
        """One request of HTTP/1.1; -> the answer, whole."""
        connection.sendall(b"GET %s HTTP/1.1\r\nHost: serin.test\r\nConnection: close\r\n\r\n" % target.encode())
        answer = b""
        while part := connection.recv(65536):
            answer += part
        return answer.decode()

    def serial(self, **kwargs):
        with self.connect(**kwargs) as connection:
            return connection.getpeercert()["serialNumber"]

    def reload(self):
        """SIGHUP, until the log says how it went; -> what it said."""
        seen = len(self.daemon.process.log_text())
        self.daemon.process.send_signal(signal.SIGHUP)
        return wait_for(lambda: re.search(r"(?s).*(reloaded|nothing changed:\n.*\n)",
                                          self.daemon.process.log_text()[seen:]), 10, "the reload")[0]


class TlsTest(TlsCase):
    def test_versions_and_protocols(self):
        self.start()
        for version, name in ((ssl.TLSVersion.TLSv1_2, "TLSv1.2"), (ssl.TLSVersion.TLSv1_3, "TLSv1.3")):
            with self.connect(self.context(newest=version, oldest=version)) as connection:
                self.assertEqual(connection.version(), name)
                self.assertIn("HTTP/1.1 GET /", self.get(connection))
        old = self.command(["openssl", "s_client", "-connect", "127.0.0.1:%d" % self.tls_port, "-tls1_1", "-cipher",
                            "DEFAULT@SECLEVEL=0"], check=False)
        self.assertIn("protocol version", old.stderr)
        for offered, chosen in ((["http/1.1", "h2"], "h2"), (["http/1.1"], "http/1.1"), (None, None)):
            with self.connect(self.context(alpn=offered)) as connection:
                self.assertEqual(connection.selected_alpn_protocol(), chosen)
        with self.assertRaisesRegex(ssl.SSLError, "(?i)no.application.protocol"):
            self.connect(self.context(alpn=["spdy/1"]))

    def test_the_oldest_version_can_be_raised(self):
        self.start({"min_version": "1.3"})
        with self.assertRaisesRegex(ssl.SSLError, "(?i)protocol.version"):
            self.connect(self.context(newest=ssl.TLSVersion.TLSv1_2))
        self.serial()

    def test_a_name_chooses_the_certificate(self):
        shop, wild = self.authority.issue("shop", "shop.test"), self.authority.issue("wild", "*.cdn.test")
        self.start({"certificates": [{"certificate": pair[0], "key": pair[1]} for pair in (shop, wild)]})
        for name, subject in (("serin.test", "serin.test"), ("shop.test", "shop.test"), ("SHOP.test", "shop.test"),
                              ("a.cdn.test", "*.cdn.test")):
            with self.connect(name=name) as connection:
                self.assertEqual(connection.getpeercert()["subject"][0][0][1], subject)
        lax = self.context()
        lax.check_hostname = False
        for name in ("a.b.cdn.test", "cdn.test", "other.test", None):
            with self.connect(lax, name=name) as connection:
                self.assertEqual(connection.getpeercert()["subject"][0][0][1], "serin.test")

    def test_sessions_are_resumed_by_any_worker_and_after_a_reload(self):
        self.start()
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            context = self.context(newest=version)
            with self.connect(context) as connection:
                self.assertFalse(connection.session_reused)
                self.get(connection)
                session = connection.session
            for attempt in range(8):
                if attempt == 4:
                    self.assertIn("reloaded", self.reload())
                with self.connect(context, session=session) as connection:
                    self.assertTrue(connection.session_reused, "%s, attempt %d" % (version.name, attempt))
                    self.assertIn("200", self.get(connection))
                    if version == ssl.TLSVersion.TLSv1_3:  # of which browsers use each ticket once
                        self.assertNotEqual(connection.session.id, session.id)
                    session = connection.session
        self.daemon.stop()
        self.daemon.start()  # keys are never on a disk
        with self.connect(context, session=session) as connection:
            self.assertFalse(connection.session_reused)

    def test_a_client_that_does_not_shake_hands_is_not_waited_for(self):
        self.start(limits={"head_timeout": "500ms"})
        for said in (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"", b"\x16\x03\x01\x02\x00\x01\x00"):
            with socket.create_connection(("127.0.0.1", self.tls_port), 20 * SLOWNESS) as client:
                client.sendall(said)
                answer = b""
                with contextlib.suppress(ConnectionResetError):
                    while part := client.recv(1000):
                        answer += part
                self.assertNotIn(b"HTTP/", answer)
        self.serial()

    def test_records_that_come_in_pieces_hold_up_nobody(self):
        """The beginning of a record is no reason to read again before the rest has come."""
        self.start({}, {"idle_timeout": "1h", "head_timeout": "1h"})
        halves = []
        for _ in range(8):  # for each worker
            client = socket.create_connection(("127.0.0.1", self.tls_port), 20 * SLOWNESS)
            halves.append(client)
            client.sendall(b"\x16\x03\x01\x02\x00\x01\x00")
            with self.connect() as connection:
                self.get(connection)
                halves.append(socket.socket(fileno=connection.detach()))
        for client in halves[1::2]:
            with contextlib.suppress(OSError):
                client.sendall(b"\x17\x03\x03\x01\x00abc")
        for _ in range(8):
            self.serial()
        for client in halves:
            client.close()
        # And whole: a hello and a request in pieces of one byte.
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = self.context().wrap_bio(incoming, outgoing, server_hostname="serin.test")
        with socket.create_connection(("127.0.0.1", self.tls_port), 20 * SLOWNESS) as client:
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

            def until_done(step):
                while True:
                    try:
                        value = step()
                    except ssl.SSLWantReadError:
                        value = None
                    for byte in outgoing.read():
                        client.send(bytes([byte]))
                    if value is not None:
                        return value
                    incoming.write(client.recv(65536))
            until_done(lambda: tls.do_handshake() or True)
            until_done(lambda: tls.write(b"GET /piecemeal HTTP/1.1\r\nHost: serin.test\r\n\r\n"))
            self.assertIn(b"200 OK", until_done(lambda: tls.read(65536)))

    @unittest.skipIf(SANITIZER, "its memory is what is tested")
    def test_a_flood_of_key_updates_is_ended(self):
        """Each one is answered; the answers to one who does not read are kept within a bound."""
        self.start(limits={"send_timeout": "1h"})
        before = self.daemon.memory_kib("VmRSS")
        client = KeyUpdateClient(self.tls_port, 20 * SLOWNESS)
        self.addCleanup(client.socket.close)
        asked = 0
        while client.ask():
            asked += 1
            if asked % 10000 == 0:
                self.serial()  # others are served meanwhile
        self.assertLess(self.daemon.memory_kib("VmRSS") - before, 4 * 1024)
        self.serial()

    def test_curl_over_both_protocols(self):
        """Pages, cookies, redirects, an upload, a download and an event stream."""
        self.start()
        data = os.urandom(3 * MIB)
        upload, download = self.write("upload", data), self.path("download")
        for flag, version in (("--http1.1", "1.1"), ("--http2", "2")):
            def curl(target, *arguments):
                return self.command(["curl", "-sS", "--max-time", "60", flag, "--cacert", self.authority.certificate,
                                     "--resolve", "serin.test:%d:127.0.0.1" % self.tls_port, *arguments,
                                     "https://serin.test:%d%s" % (self.tls_port, target)]).stdout
            self.assertEqual(curl("/a?b", "-w", " %{http_version}"), "HTTP/%s GET /a?b serin.test:%d %s" % (
                "2.0" if version == "2" else version, self.tls_port, version))
            self.assertEqual(re.findall(r"(?i)set-cookie: (\w=\w)", curl("/?do=cookies", "-i")), ["a=1", "b=2"])
            self.assertRegex(curl("/?do=redirect", "-i"), r"(?im)^location: /elsewhere")
            self.assertEqual(curl("/?do=upload", "--data-binary", "@" + upload), "%d %s %d" % (
                len(data), hashlib.sha256(data).hexdigest(), len(data)))
            curl("/?do=download&size=%d" % (5 * MIB), "-o", download)
            with open(download, "rb") as file:
                self.assertEqual(hashlib.sha256(file.read()).hexdigest(), download_digest(5 * MIB))
            self.assertEqual(curl("/?do=events", "-N").count("data: "), 3)


    def test_nghttp_and_h2load(self):
        self.start()
        url = "https://127.0.0.1:%d/" % self.tls_port
        result = self.command(["nghttp", "-nv", "-m", "20", url])
        self.assertEqual(result.stdout.count(":status: 200"), 20)
        self.assertIn("The negotiated protocol: h2", result.stdout)
        result = self.command(["h2load", "-n", "3000", "-c", "30", "-m", "30", url], timeout=120)
        self.assertIn("3000 succeeded, 0 failed, 0 errored, 0 timeout", result.stdout)
        self.assertIn("status codes: 3000 2xx", result.stdout)


class CertificateTest(TlsCase):
    def test_new_certificates_under_load(self):
        """Replaced and reloaded again and again: every handshake succeeds, and no connection that is open notices."""
        self.start()
        halt, problems, handshakes, kept = threading.Event(), [], [0, 0, 0], [0]

        def shake(number):
            context = self.context(alpn=["h2" if number == 0 else "http/1.1"])
            while not halt.is_set():
                try:
                    with self.connect(context) as connection:
                        if number > 0 and "200 OK" not in self.get(connection):
                            problems.append("no answer")
                    handshakes[number] += 1
                except OSError as error:
                    problems.append(repr(error))

        def keep():
            with self.connect() as connection:
                while not halt.is_set():
                    connection.sendall(b"HEAD / HTTP/1.1\r\nHost: serin.test\r\n\r\n")
                    answer = b""
                    while b"\r\n\r\n" not in answer:
                        part = connection.recv(65536)
                        if not part:
                            return problems.append("the kept connection was closed")
                        answer += part
                    kept[0] += 1
        threads = [threading.Thread(target=shake, args=(n,)) for n in range(3)] + [threading.Thread(target=keep)]
        for thread in threads:
            thread.start()
        served = [self.serial()]
        try:
            for number in range(5):
                new = self.authority.issue("next%d" % number, "serin.test")
                # As those who renew do it; never a moment without a file.
                for path, target in zip(new, (self.certificate, self.key)):
                    os.replace(path, target)
                before = sum(handshakes)
                self.assertIn("reloaded", self.reload())
                served.append(wait_for(lambda: self.serial() if self.serial() != served[-1] else None, 10,
                                       "the new certificate"))
                wait_for(lambda: sum(handshakes) > before + 30, 30, "handshakes")
        finally:
            halt.set()
            for thread in threads:
                thread.join(30 * SLOWNESS)
        self.assertEqual(problems, [])
        self.assertEqual(len(set(served)), 6)
        self.assertGreater(kept[0], 20)
        print("certificates: 5 reloads, %d handshakes, %d requests on one kept connection, none failed" % (
            sum(handshakes), kept[0]))

    def test_a_file_that_is_no_good_changes_nothing(self):
        self.start()
        good, other = self.serial(), self.authority.issue("other", "serin.test")
        locked = self.path("locked.key")
        self.command(["openssl", "ec", "-aes128", "-passout", "pass:x", "-in", self.key, "-out", locked])
        kept = self.key + ".kept"
        shutil.copy(self.key, kept)
        for bad, words in ((other[1], "does not belong to"), (locked, "no usable private key"),
                           (self.write("junk", "junk"), "no usable private key")):
            shutil.copy(bad, self.key)
            said = self.reload()
            self.assertIn(self.key + ": ", said)
            self.assertIn(words, said)
            self.assertNotIn("reloaded", said)
            self.assertEqual(self.serial(), good)
            for check in ([SERIN, "-t", "-c"], [SERINCTL, "check"]):
                result = self.command([*check, self.daemon.file], check=False)
                self.assertEqual(result.returncode, 1)
                self.assertIn(words, result.stderr)
        self.daemon.stop()
        self.daemon.start(wait=False)
        self.assertEqual(self.daemon.process.wait(), 1)
        self.assertIn("no usable private key", self.daemon.process.log_text())
        shutil.copy(kept, self.key)
        self.daemon.start()
        self.assertEqual(self.serial(), good)

    def test_an_expired_certificate_is_served_and_complained_of(self):
        """A restart must not turn a warning in browsers into an outage."""
        soon = self.authority.issue("soon", "soon.test", since=-89, days=1)
        self.certificate, self.key = self.authority.issue("expired", "serin.test", since=-30, days=-1)
        self.start({"certificates": [{"certificate": soon[0], "key": soon[1]}]})
        self.assertRegex(self.daemon.process.log_text(), r" warning %s expired on 20" % re.escape(self.certificate))
        self.assertRegex(self.daemon.process.log_text(), r"%s expires on 20" % re.escape(soon[0]))
        self.assertIn("expired on", self.command([SERIN, "-t", "-c", self.daemon.file]).stdout)
        with self.assertRaisesRegex(ssl.SSLError, "certificate has expired"):
            self.connect()
        self.serial(name="soon.test")
        expiry = {path: self.daemon.metric_sum(EXPIRY, certificate=path) - time.time()
                  for path in (self.certificate, soon[0])}
        self.assertAlmostEqual(expiry[self.certificate], -86400, delta=600)
        self.assertAlmostEqual(expiry[soon[0]], 86400, delta=600)
        for path, new in zip((self.certificate, self.key), self.authority.issue("fresh", "serin.test", days=60)):
            os.replace(new, path)
        self.assertIn("reloaded", self.reload())
        wait_for(lambda: self.daemon.metric_sum(EXPIRY, certificate=self.certificate) > time.time() + 59 * 86400)
        self.serial()

    def test_revocation_answers_are_stapled_while_they_hold(self):
        shop = self.authority.issue("shop", "shop.test")
        staple = self.authority.ocsp_response("site.der", self.certificate)
        self.start({"ocsp_response": staple, "certificates": [{"certificate": shop[0], "key": shop[1]}]})

        def status(name, version="-tls1_3"):
            return self.command(["openssl", "s_client", "-connect", "127.0.0.1:%d" % self.tls_port, "-servername", name,
                                 "-status", version, "-CAfile", self.authority.certificate]).stdout
        for version in ("-tls1_2", "-tls1_3"):
            self.assertRegex(status("serin.test", version), r"(?s)OCSP Response Status: successful.*Cert Status: good")
        self.assertIn("OCSP response: no response sent", status("shop.test"))
        with open(staple, "rb") as file:
            response = file.read()
        # producedAt, thisUpdate, nextUpdate: the last one long ago.
        last = list(re.finditer(rb"\x18\x0f(\d{4})\d{10}Z", response))[2]
        self.write(os.path.basename(self.authority.folder) + "/site.der",
                   response[:last.start(1)] + b"2001" + response[last.end(1):])
        self.assertIn("OCSP response for %s expired" % self.certificate, self.reload())
        wait_for(lambda: "no response sent" in status("serin.test"))
        for bad, words in ((self.authority.ocsp_response("shop.der", shop[0]), "for another certificate"),
                           (self.write("junk", "junk"), "no successful OCSP response")):
            shutil.copy(bad, staple)
            self.assertIn(words, self.reload())
        shutil.copy(self.authority.ocsp_response("new.der", self.certificate), staple)
        self.assertIn("reloaded", self.reload())
        wait_for(lambda: "Cert Status: good" in status("serin.test"))


if __name__ == "__main__":
    main()
