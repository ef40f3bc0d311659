"""What answers behind the proxies: two FastCGI pools on unix sockets, on the load's cores."""

import os

from program import Programs

CHILDREN = 24  # of each PHP-FPM: above the 20 connections that Serin makes to a pool by default


class Pools(Programs):
    def __init__(self, setting, scenario):
        super().__init__(os.path.join(setting.folder, "pools"))
        self.setting, self.scenario = setting, scenario
        self.sockets = {pool: self.path(pool + ".sock") for pool in ("blue", "green")}

    def command(self, pool):
        raise NotImplementedError

    def start(self):
        for pool, path in self.sockets.items():
            self.run(pool, self.scenario.load_cores, self.command(pool), path)

    def stop(self):
        super().stop()
        for path in self.sockets.values():
            if os.path.exists(path):
                os.unlink(path)


class Responders(Pools):
    """bench/responder: next to no time of its own, and as many connections as come."""

    def command(self, pool):
        return [self.setting.binary("bench/responder/fastcgi_responder"), "--listen", "unix:" + self.sockets[pool],
                "--size", str(self.scenario.size)]


class PhpFpm(Pools):
    """Two masters with static children and a script that says as much as the responder."""

    def command(self, pool):
        root = os.geteuid() == 0  # our folder is nobody else's
        return ["php-fpm8.2", "-F", *(["-R"] if root else []), "-y", self.write(pool + ".conf", """
[global]
error_log = /proc/self/fd/2
[%s]
%s
listen = %s
pm = static
pm.max_children = %d
""" % (pool, "user = root" if root else "", self.sockets[pool], CHILDREN))]
