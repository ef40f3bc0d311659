"""The nginx files that are shipped, run with the test's paths."""

import os
import re

from harness import ROOT, Nginx, wait_for


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


def start(case, text, address, name="nginx"):
    """Starts it and waits until it listens on `address`."""
    import http_client
    process = Nginx(case, text, name).process

    def listens():
        try:
            http_client.connect(address, 1).close()
            return True
        except OSError:
            return False
    wait_for(listens, 10, "nginx to listen")
    return process
