"""The proxies, each as a user would set it up: two FastCGI pools at 90/10, connections kept."""

import os
import resource
import signal
import socket
import subprocess
import time

from measure import family


class Proxy:
    """A directory, ports of its own, a configuration and a process. `variant` is what some tell apart by."""

    name = ""

    def __init__(self, setting, pools, access_log=False):
        self.setting, self.pools, self.access_log = setting, pools, access_log
        self.folder = os.path.join(setting.folder, self.name.replace(" ", "-"))
        os.makedirs(self.folder, exist_ok=True)
        self.ports = {protocol: free_port() for protocol in ("http", "h2c", "https")}
        self.process = None

    def path(self, name):
        return os.path.join(self.folder, name)

    def write(self, name, text):
        with open(self.path(name), "w", encoding="utf-8") as file:
            file.write(text)
        return self.path(name)

    def url(self, protocol):
        return "%s://127.0.0.1:%d/" % ("https" if protocol == "https" else "http", self.ports[protocol])

    def command(self):
        raise NotImplementedError

    def start(self):
        self.process = spawn(self.setting.proxy_core, self.command(), self.path("log"))
        await_port(self.ports["http"], self)

    def pids(self):
        return family(self.process.pid)

    def stop(self):
        if self.process:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()


def spawn(core, command, log):
    def limits():
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    with open(log, "w", encoding="utf-8") as output:
        return subprocess.Popen(["taskset", "-c", core, *command], stdout=output, stderr=output, stdin=subprocess.DEVNULL,
                                preexec_fn=limits)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def await_port(port, proxy):
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline and proxy.process.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    with open(proxy.path("log"), encoding="utf-8") as log:
        raise RuntimeError("%s does not start: %s" % (proxy.name, log.read()))


class Serin(Proxy):
    """Everything that is on by default. Connections to the pools are kept, as the peers keep them."""

    name = "serin"
    keep_alive = "on"
    pool_connections = 512
    rollout = False

    def command(self):
        log = '[access_log]\ntarget = "file"\npath = "%s"\n' % self.path("access.log") if self.access_log else ""
        pools = "".join(
            '[pools.%s]\naddress = "unix:%s"\nroot = "%s"\nmax_connections = %d\n'
            'queue_size = 8192\nkeep_alive = "%s"\n'
            % (pool, self.pools[pool], self.setting.root, self.pool_connections, self.keep_alive)
            for pool in ("blue", "green"))
        self.write("serin.toml", """
[server]
workers = 1
[[listen]]
address = "127.0.0.1:%d"
[[listen]]
address = "127.0.0.1:%d"
[[listen]]
address = "127.0.0.1:%d"
protocol = "https"
[[listen]]
address = "unix:%s"
protocol = "fastcgi"
[tls]
certificate = "%s"
key = "%s"
%s
[rollout]
initial_weight = "%s"
steps = ["10%%", "100%%"]
hold = "1h"
[admin]
socket = "%s"
[metrics]
address = "127.0.0.1:%d"
[state]
directory = "%s"
""" % (self.ports["http"], self.ports["h2c"], self.ports["https"], self.path("fastcgi.sock"), self.setting.certificate,
            self.setting.key, pools + log, "0%" if self.rollout else "10%", self.path("admin.sock"),
            free_port(), self.path("state")))
        os.makedirs(self.path("state"), exist_ok=True)
        return [self.setting.binary("proxy/serin"), "-c", self.path("serin.toml")]

    def start(self):
        super().start()
        if self.rollout:
            subprocess.run([self.setting.binary("proxy/serinctl"), "--socket", self.path("admin.sock"), "start", "v2"],
                           check=True, stdout=subprocess.DEVNULL)


class SerinDefaults(Serin):
    """20 connections to a pool, kept only while requests wait: what is best for PHP-FPM."""

    name = "serin, busy"
    keep_alive = "busy"
    pool_connections = 20


class SerinRollout(Serin):
    """While the verdict looks at every answer."""

    name = "serin, rollout"
    rollout = True


class Nginx(Proxy):
    name = "nginx"
    buffers = ""

    def upstream(self):
        return "server unix:%s weight=9; server unix:%s weight=1;" % (self.pools["blue"], self.pools["green"])

    def command(self):
        params = "".join("fastcgi_param %s %s;\n" % pair for pair in (
            ("QUERY_STRING", "$query_string"), ("REQUEST_METHOD", "$request_method"), ("CONTENT_TYPE", "$content_type"),
            ("CONTENT_LENGTH", "$content_length"), ("SCRIPT_NAME", "/index.php"), ("REQUEST_URI", "$request_uri"),
            ("DOCUMENT_URI", "$document_uri"), ("DOCUMENT_ROOT", "$document_root"), ("SERVER_PROTOCOL", "$server_protocol"),
            ("REQUEST_SCHEME", "$scheme"), ("HTTPS", "$https if_not_empty"), ("GATEWAY_INTERFACE", "CGI/1.1"),
            ("SERVER_SOFTWARE", "nginx/$nginx_version"), ("REMOTE_ADDR", "$remote_addr"), ("REMOTE_PORT", "$remote_port"),
            ("SERVER_ADDR", "$server_addr"), ("SERVER_PORT", "$server_port"), ("SERVER_NAME", "$server_name"),
            ("REDIRECT_STATUS", "200"), ("SCRIPT_FILENAME", "$document_root/index.php")))
        self.write("nginx.conf", """
%s
worker_processes 1; daemon off; pid %s; error_log %s error;
events { worker_connections 20000; }
http {
  access_log %s;
  client_body_temp_path %s; fastcgi_temp_path %s; proxy_temp_path %s; uwsgi_temp_path %s; scgi_temp_path %s;
  keepalive_requests 100000000; client_body_buffer_size 128k; client_max_body_size 100m;
  ssl_protocols TLSv1.2 TLSv1.3; ssl_certificate %s; ssl_certificate_key %s; ssl_session_cache shared:tls:10m;
  upstream pools { %s keepalive 512; }
  %s
  server {
    listen 127.0.0.1:%d backlog=4096; listen 127.0.0.1:%d http2; listen 127.0.0.1:%d ssl http2;
    root %s;
    location / { fastcgi_pass pools; fastcgi_keep_conn on; %s }
  }
}
""" % ("user root;" if os.geteuid() == 0 else "", self.path("pid"), self.path("error.log"),
            self.path("access.log") + " combined" if self.access_log else "off",
            *[self.path("t%d" % n) for n in range(5)], self.setting.certificate, self.setting.key, self.upstream(),
            self.buffers, self.ports["http"], self.ports["h2c"], self.ports["https"], self.setting.root, params))
        return ["nginx", "-c", self.path("nginx.conf"), "-e", self.path("error.log")]


class NginxBuffers(Nginx):
    """With buffers for large answers, as somebody sets them who has measured."""

    name = "nginx, buffers"
    buffers = "fastcgi_buffer_size 64k; fastcgi_buffers 32 64k; fastcgi_busy_buffers_size 256k;"


class NginxSerin(Nginx):
    """The one-line change: nginx before Serin's FastCGI listener. Both processes count."""

    name = "nginx + serin"

    def __init__(self, *arguments, **words):
        super().__init__(*arguments, **words)
        self.serin = Serin(*arguments, **words)
        self.serin.folder = self.folder

    def upstream(self):
        return "server unix:%s;" % self.serin.path("fastcgi.sock")

    def start(self):
        self.serin.start()
        super().start()

    def pids(self):
        return super().pids() + self.serin.pids()

    def stop(self):
        super().stop()
        self.serin.stop()


class Haproxy(Proxy):
    name = "haproxy"

    def command(self):
        self.write("haproxy.cfg", """
global
  nbthread 1
  maxconn 16000
  no strict-limits
  %s
defaults
  mode http
  %s
  timeout connect 5s
  timeout client 60s
  timeout server 60s
frontend clients
  bind 127.0.0.1:%d
  bind 127.0.0.1:%d proto h2
  bind 127.0.0.1:%d ssl crt %s alpn h2,http/1.1
  default_backend pools
backend pools
  balance roundrobin
  http-reuse always
  use-fcgi-app php
  server blue unix@%s proto fcgi weight 90
  server green unix@%s proto fcgi weight 10
fcgi-app php
  docroot %s
  index index.php
  option keep-conn
""" % ("log stdout format raw local0" if self.access_log else "", "log global\n  option httplog" if self.access_log else "",
            self.ports["http"], self.ports["h2c"], self.ports["https"], self.setting.both, self.pools["blue"],
            self.pools["green"], self.setting.root))
        return ["haproxy", "-db", "-f", self.path("haproxy.cfg")]


class H2o(Proxy):
    """Knows one FastCGI pool per path: all of its requests go to blue, which spares it the choice."""

    name = "h2o"

    def command(self):
        self.write("h2o.yaml", """
num-threads: 1
max-connections: 20000
error-log: %s
pid-file: %s
%s
hosts:
  default:
    listen: {host: 127.0.0.1, port: %d}
    listen: {host: 127.0.0.1, port: %d}
    listen: {host: 127.0.0.1, port: %d, ssl: {certificate-file: %s, key-file: %s}}
    paths:
      /:
        fastcgi.connect: {type: unix, port: %s}
        fastcgi.timeout.keepalive: 5000
        fastcgi.document_root: %s
%s
""" % (self.path("error.log"), self.path("pid"), "user: root" if os.geteuid() == 0 else "", self.ports["http"],
            self.ports["h2c"], self.ports["https"], self.setting.certificate, self.setting.key, self.pools["blue"],
            self.setting.root, "access-log: %s" % self.path("access.log") if self.access_log else ""))
        return ["h2o", "-m", "worker", "-c", self.path("h2o.yaml")]


class Lighttpd(Proxy):
    """Keeps no connection to a FastCGI pool: it cannot."""

    name = "lighttpd"

    def command(self):
        self.write("lighttpd.conf", """
server.modules = ("mod_fastcgi"%s)
server.document-root = "%s"
server.port = %d
server.bind = "127.0.0.1"
server.max-connections = 20000
server.max-fds = 40000
index-file.names = ("index.php")
%s
fastcgi.server = ("/" => (("socket" => "%s", "check-local" => "disable"), ("socket" => "%s", "check-local" => "disable")))
""" % (', "mod_accesslog"' if self.access_log else "", self.setting.root, self.ports["http"],
            'accesslog.filename = "%s"' % self.path("access.log") if self.access_log else "", self.pools["blue"],
            self.pools["green"]))
        return ["lighttpd", "-D", "-f", self.path("lighttpd.conf")]


class Floor(Proxy):
    """The least that moves the same bytes: bench/load/proxy_floor.cc."""

    name = "floor"

    def command(self):
        return [self.setting.binary("bench/load/proxy_floor"), "--listen", "127.0.0.1:%d" % self.ports["http"], "--pool",
                "unix:" + self.pools["blue"]]
