"""The nginx files that are shipped, run with the test's paths: the four ways to put Serin behind nginx."""

import os
import re

from harness import ROOT, Nginx, wait_for
from http_client import connect

WAYS = ("fastcgi", "fastcgi-backup", "http", "tls")


def shipped(case, name, *replacements):
    """The text of deploy/nginx/<name> with (what, instead) replaced; each must be there."""
    with open(os.path.join(ROOT, "deploy/nginx", name)) as file:
        text = file.read()
    for what, instead in replacements:
        case.assertIn(what, text, name)
        text = text.replace(what, instead)
    left = [path for path in re.findall(r"/(?:srv|run|etc)/[\w./-]+", re.sub(r"#.*", "", text))
            if "/run/serin-" not in path]
    case.assertEqual(left, [], "a path of the shipped file was not replaced")
    return text.replace("include fastcgi.conf;", "include /etc/nginx/fastcgi.conf;")


def listens(address):
    try:
        connect(address, 1).close()
        return True
    except OSError:
        return False


def start(case, text, address, name="nginx"):
    """Starts it and waits until it listens on `address`."""
    process = Nginx(case, text, name).process
    wait_for(lambda: listens(address), 10, "nginx to listen")
    return process


LISTENERS = ("http", "fastcgi")  # what Serin has to listen on, as unix:<scratch>/<protocol>.sock


class Way:
    """One of the four ways, started: where to come in, and as which host."""

    def __init__(self, case, name, roots, stable_socket, authority):
        """roots: of the two pools; blue's is stable's, for when Serin is dead."""
        self.name, port = name, case.port()
        self.scheme = "https" if name == "tls" else "http"
        self.host = "localhost:%d" % port
        self.address = ("tls:" if name == "tls" else "") + "127.0.0.1:%d" % port
        replacements = [("/srv/app/blue/public", roots["blue"]), ("/srv/app/green/public", roots["green"])]
        if name.startswith("fastcgi"):
            replacements += [("/run/serin/fastcgi.sock", case.path("fastcgi.sock"))]
        else:
            replacements += [("/run/serin/http.sock", case.path("http.sock"))]
        if name == "fastcgi-backup":
            replacements += [("/srv/app/stable/public", roots["blue"]), ("/run/serin-fpm/stable.sock", stable_socket)]
        if name == "tls":
            certificate, key = authority.issue("nginx", "localhost")
            replacements += [("/etc/serin/tls/fullchain.pem", certificate), ("/etc/serin/tls/privkey.pem", key),
                             ("listen 80;", "listen 127.0.0.1:%d;" % case.port()),
                             ("listen 443 ssl http2;", "listen 127.0.0.1:%d ssl http2;" % port)]
        else:
            replacements += [("listen 80;", "listen 127.0.0.1:%d;" % port)]
        text = shipped(case, "serin-%s.conf" % name, *replacements)
        start(case, "include /etc/nginx/mime.types; types_hash_max_size 2048;" + text, "127.0.0.1:%d" % port,
              "nginx-" + name)


def open_ways(case, roots, stable_socket, authority):
    return [Way(case, name, roots, stable_socket, authority) for name in WAYS]
