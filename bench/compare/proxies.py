"""The proxies, each as a user would set it up: two FastCGI pools at 90/10."""

import os
import re
import subprocess

from program import Programs, free_port


class Proxy(Programs):
    """A directory, ports of its own, a configuration and a process. `line` is a scenarios.Line."""

    name = ""

    def __init__(self, setting, pools, line):
        super().__init__(os.path.join(setting.folder, re.sub(r"\W+", "-", line.name)))
        self.setting, self.line, self.cores = setting, line, pools.scenario.proxy_cores
        self.ports = {protocol: free_port() for protocol in ("http", "h2c", "https")}
        self.words = {  # of configurations
            **self.ports, **pools.sockets, "folder": self.folder, "root": setting.root, "workers": line.workers,
            "certificate": setting.certificate, "key": setting.key, "both": setting.both}

    def configure(self, name, template, **words):
        """-> the path of the file in which the template's words are filled in."""
        return self.write(name, template % {**self.words, **words})

    def url(self, protocol):
        return "%s://127.0.0.1:%d/" % ("https" if protocol == "https" else "http", self.ports[protocol])

    def command(self):
        raise NotImplementedError

    def start(self):
        self.run(self.name, self.cores, self.command(), self.ports["http"])


class Serin(Proxy):
    """Everything that is on by default. Connections to the pools are kept as the peers keep them, or as by default."""

    name = "serin"
    rollout = False

    def command(self):
        log = '[access_log]\ntarget = "file"\npath = "%s"\n' % self.path("access.log") if self.line.access_log else ""
        kept = 'max_connections = 512\nqueue_size = 8192\nkeep_alive = "on"' if self.line.kept else ""
        os.makedirs(self.path("state"), exist_ok=True)
        return [self.setting.binary("proxy/serin"), "-c", self.configure("serin.toml", """
[server]
workers = %(workers)d
[[listen]]
address = "127.0.0.1:%(http)d"
[[listen]]
address = "127.0.0.1:%(h2c)d"
[[listen]]
address = "127.0.0.1:%(https)d"
protocol = "https"
[[listen]]
address = "unix:%(folder)s/fastcgi.sock"
protocol = "fastcgi"
[tls]
certificate = "%(certificate)s"
key = "%(key)s"
[pools.blue]
address = "unix:%(blue)s"
root = "%(root)s"
%(kept)s
[pools.green]
address = "unix:%(green)s"
root = "%(root)s"
%(kept)s
%(log)s
[rollout]
initial_weight = "%(weight)s"
steps = ["10%%", "100%%"]
hold = "1h"
[admin]
socket = "%(folder)s/admin.sock"
[metrics]
address = "127.0.0.1:%(metrics)d"
[state]
directory = "%(folder)s/state"
""", kept=kept, log=log, weight="0%" if self.rollout else "10%", metrics=free_port())]

    def start(self):
        super().start()
        if self.rollout:
            subprocess.run([self.setting.binary("proxy/serinctl"), "--socket", self.path("admin.sock"), "start", "v2"],
                           check=True, stdout=subprocess.DEVNULL)


class SerinRollout(Serin):
    """While the verdict looks at every answer."""

    name = "serin, rollout"
    rollout = True


class Nginx(Proxy):
    name = "nginx"
    buffers = ""
    upstream = "server unix:%(blue)s weight=9; server unix:%(green)s weight=1;"
    params = (
        ("QUERY_STRING", "$query_string"), ("REQUEST_METHOD", "$request_method"), ("CONTENT_TYPE", "$content_type"),
        ("CONTENT_LENGTH", "$content_length"), ("SCRIPT_NAME", "/index.php"), ("REQUEST_URI", "$request_uri"),
        ("DOCUMENT_URI", "$document_uri"), ("DOCUMENT_ROOT", "$document_root"), ("SERVER_PROTOCOL", "$server_protocol"),
        ("REQUEST_SCHEME", "$scheme"), ("HTTPS", "$https if_not_empty"), ("GATEWAY_INTERFACE", "CGI/1.1"),
        ("SERVER_SOFTWARE", "nginx/$nginx_version"), ("REMOTE_ADDR", "$remote_addr"), ("REMOTE_PORT", "$remote_port"),
        ("SERVER_ADDR", "$server_addr"), ("SERVER_PORT", "$server_port"), ("SERVER_NAME", "$server_name"),
        ("REDIRECT_STATUS", "200"), ("SCRIPT_FILENAME", "$document_root/index.php"))

    def command(self):
        path = self.configure(
            "nginx.conf", """
%(user)s
worker_processes %(workers)d; daemon off; pid %(folder)s/pid; error_log %(folder)s/error.log error;
events { worker_connections 20000; }
http {
  access_log %(log)s;
  client_body_temp_path %(folder)s/t1; fastcgi_temp_path %(folder)s/t2; proxy_temp_path %(folder)s/t3;
  uwsgi_temp_path %(folder)s/t4; scgi_temp_path %(folder)s/t5;
  keepalive_requests 100000000; client_body_buffer_size 128k; client_max_body_size 100m;
  ssl_protocols TLSv1.2 TLSv1.3; ssl_certificate %(certificate)s; ssl_certificate_key %(key)s;
  ssl_session_cache shared:tls:10m;
  upstream pools { %(upstream)s %(keepalive)s }
  %(buffers)s
  server {
    listen 127.0.0.1:%(http)d backlog=4096; listen 127.0.0.1:%(h2c)d http2; listen 127.0.0.1:%(https)d ssl http2;
    root %(root)s;
    location / { fastcgi_pass pools; fastcgi_keep_conn %(kept)s; %(params)s }
  }
}
""", user="user root;" if os.geteuid() == 0 else "",
            log=self.path("access.log") + " combined" if self.line.access_log else "off",
            upstream=self.upstream % self.words, keepalive="keepalive 512;" if self.line.kept else "",
            kept="on" if self.line.kept else "off", buffers=self.buffers,
            params="".join("fastcgi_param %s %s;\n" % pair for pair in self.params))
        return ["nginx", "-c", path, "-e", self.path("error.log")]


class NginxBuffers(Nginx):
    """With buffers for large answers, as somebody sets them who has measured."""

    name = "nginx, buffers"
    buffers = "fastcgi_buffer_size 64k; fastcgi_buffers 32 64k; fastcgi_busy_buffers_size 256k;"


class NginxSerin(Nginx):
    """The one-line change: nginx before Serin's FastCGI listener. Both processes count."""

    name = "nginx + serin"
    upstream = "server unix:%(folder)s/fastcgi.sock;"

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.serin = Serin(*arguments)
        self.serin.running = self.running

    def start(self):
        self.serin.start()
        super().start()


class Haproxy(Proxy):
    name = "haproxy"

    def command(self):
        return ["haproxy", "-db", "-f", self.configure("haproxy.cfg", """
global
  nbthread %(workers)d
  maxconn 16000
  no strict-limits
  %(log_to)s
defaults
  mode http
  %(log)s
  timeout connect 5s
  timeout client 60s
  timeout server 60s
frontend clients
  bind 127.0.0.1:%(http)d
  bind 127.0.0.1:%(h2c)d proto h2
  bind 127.0.0.1:%(https)d ssl crt %(both)s alpn h2,http/1.1
  default_backend pools
backend pools
  balance roundrobin
  http-reuse always
  use-fcgi-app php
  server blue unix@%(blue)s proto fcgi weight 90
  server green unix@%(green)s proto fcgi weight 10
fcgi-app php
  docroot %(root)s
  index index.php
  %(keep_conn)s
""", log_to="log stdout format raw local0" if self.line.access_log else "",
            log="log global\n  option httplog" if self.line.access_log else "",
            keep_conn="option keep-conn" if self.line.kept else "no option keep-conn")]


class H2o(Proxy):
    """Knows one FastCGI pool per path: all of its requests go to blue, which spares it the choice. PHP-FPM wants to know
    the script's file, which costs it a look at the disk; the responder does not."""

    name = "h2o"

    def command(self):
        pool = """fastcgi.connect: {type: unix, port: %(blue)s}
        fastcgi.timeout.keepalive: 5000
        fastcgi.document_root: %(root)s""" if self.line.kept else """file.dir: %(root)s
        file.index: [index.php]
        file.custom-handler:
          extension: .php
          fastcgi.connect: {type: unix, port: %(blue)s}"""
        return ["h2o", "-m", "worker", "-c", self.configure("h2o.yaml", """
num-threads: %(workers)d
max-connections: 20000
error-log: %(folder)s/error.log
pid-file: %(folder)s/pid
%(user)s
hosts:
  default:
    listen: {host: 127.0.0.1, port: %(http)d}
    listen: {host: 127.0.0.1, port: %(h2c)d}
    listen: {host: 127.0.0.1, port: %(https)d, ssl: {certificate-file: %(certificate)s, key-file: %(key)s}}
    paths:
      /:
        %(pool)s
%(log)s
""", user="user: root" if os.geteuid() == 0 else "", pool=pool % self.words,
            log="access-log: %s" % self.path("access.log") if self.line.access_log else "")]


class Lighttpd(Proxy):
    """Keeps no connection to a FastCGI pool: it cannot."""

    name = "lighttpd"

    def command(self):
        return ["lighttpd", "-D", "-f", self.configure("lighttpd.conf", """
server.modules = ("mod_fastcgi")
server.document-root = "%(root)s"
server.port = %(http)d
server.bind = "127.0.0.1"
server.max-connections = 20000
server.max-fds = 40000
index-file.names = ("index.php")
fastcgi.server = ("/" => (("socket" => "%(blue)s", "check-local" => "disable"),
                          ("socket" => "%(green)s", "check-local" => "disable")))
""")]


class Floor(Proxy):
    """The least that moves the same bytes: bench/load/proxy_floor.cc."""

    name = "floor"

    def command(self):
        return [self.setting.binary("bench/load/proxy_floor"), "--listen", "127.0.0.1:%(http)d" % self.words,
                "--pool", "unix:%(blue)s" % self.words]
