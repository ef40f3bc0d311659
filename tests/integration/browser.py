"""Cookies, redirects and forms, and nothing else of a browser."""

import urllib.parse

from http_client import fetch

FORM = ("Content-Type", "application/x-www-form-urlencoded")


class Browser:
    """A person who comes in by `address` and asks for scheme://host."""

    def __init__(self, address, host, scheme="http"):
        self.address, self.host, self.scheme, self.cookies = address, host, scheme, {}

    def request(self, target, method="GET", headers=(), body=None, follow=True):
        for _ in range(6):
            cookie = [("Cookie", "; ".join("%s=%s" % pair for pair in self.cookies.items()))] if self.cookies else []
            response = fetch(self.address, target, method, [*headers, *cookie], body, 60, self.host)
            for line in response.all("Set-Cookie"):
                name, _, value = line.partition(";")[0].partition("=")
                self.cookies[name] = value
            location = response.header("Location")
            if not follow or not location or response.status not in (301, 302, 303):
                return response
            here = "%s://%s" % (self.scheme, self.host)
            parts = urllib.parse.urlsplit(urllib.parse.urljoin(here + target, location))
            assert "%s://%s" % (parts.scheme, parts.netloc) == here, "redirected away, to %s" % location
            path = urllib.parse.urlunsplit(("", "", parts.path or "/", parts.query, ""))
            target, method, headers, body = path, "GET", (), None
        raise AssertionError("redirected in a circle: %s" % target)

    def form(self, target, **fields):
        return self.request(target, "POST", [FORM], urllib.parse.urlencode(fields).encode())

    def upload(self, target, field, file, data, kind="application/octet-stream", /, **fields):
        """A form with a file, as multipart/form-data."""
        parts = [('form-data; name="%s"' % key, None, value.encode()) for key, value in fields.items()]
        parts.append(('form-data; name="%s"; filename="%s"' % (field, file), kind, data))
        body = b"".join(b"--X0X\r\nContent-Disposition: %s\r\n%s\r\n%s\r\n" % (
            disposition.encode(), b"Content-Type: %s\r\n" % kind.encode() if kind else b"", value)
            for disposition, kind, value in parts)
        return self.request(target, "POST", [("Content-Type", "multipart/form-data; boundary=X0X")],
                            body + b"--X0X--\r\n")
