"""A certificate authority of the test's own, by openssl: leaves of any lifetime, OCSP responses."""

import datetime
import os

CONFIGURATION = """
[ca]
default_ca = ours
[ours]
database = %(folder)s/index.txt
new_certs_dir = %(folder)s
serial = %(folder)s/serial
default_md = sha256
policy = any
copy_extensions = copy
unique_subject = no
[any]
commonName = supplied
[req]
distinguished_name = name
[name]
"""


def stamp(days):
    return (datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(days=days)).strftime("%Y%m%d%H%M%SZ")


class Authority:
    def __init__(self, case):
        self.case, self.folder = case, case.folder("authority")
        self.certificate, self.key = self.path("ca.pem"), self.path("ca.key")
        self.config = case.write("authority/ca.cnf", CONFIGURATION % {"folder": self.folder})
        case.write("authority/index.txt", "")
        case.write("authority/serial", "1000\n")
        self.openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30",
                     "-subj", "/CN=Test CA", "-addext", "basicConstraints=critical,CA:TRUE", "-keyout", self.key,
                     "-out", self.certificate)

    def path(self, name):
        return os.path.join(self.folder, name)

    def openssl(self, *arguments):
        return self.case.command(["openssl", *arguments])

    def issue(self, file, *names, days=30, since=-1):
        """-> (certificate, key), valid for DNS names and for addresses such as "IP:127.0.0.1"."""
        certificate, key, request = self.path(file + ".pem"), self.path(file + ".key"), self.path(file + ".csr")
        alternatives = ",".join(name if ":" in name else "DNS:" + name for name in names)
        self.openssl("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-config",
                     self.config, "-subj", "/CN=" + names[0], "-addext", "subjectAltName=" + alternatives,
                     "-keyout", key, "-out", request)
        self.openssl("ca", "-batch", "-notext", "-config", self.config, "-cert", self.certificate, "-keyfile", self.key,
                     "-startdate", stamp(since), "-enddate", stamp(days), "-in", request, "-out", certificate)
        for path in (certificate, key):
            os.chmod(path, 0o644)
        return certificate, key

    def ocsp_response(self, file, certificate):
        """-> a file that says the certificate is good, for an hour."""
        path, request = self.path(file), self.path("request.der")
        self.openssl("ocsp", "-no_nonce", "-issuer", self.certificate, "-cert", certificate, "-reqout", request)
        self.openssl("ocsp", "-index", self.path("index.txt"), "-CA", self.certificate, "-rsigner", self.certificate,
                     "-rkey", self.key, "-nmin", "60", "-reqin", request, "-respout", path)
        return path
