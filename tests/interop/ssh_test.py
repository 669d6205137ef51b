"""deploy/ssh.sh with a real sshd on loopback, under a user's own configuration, two nodes."""

import getpass
import os
import pathlib
import socket
import subprocess
import time
import unittest

from launchers import DEPLOY, Launched, require


class Ssh(Launched):
    def server(self):
        """A sshd of our own on a free port, with keys of our own; the ssh command that reaches it."""
        keys = self.folder / "ssh"
        keys.mkdir(mode=0o700)
        for name in ("host", "user"):
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", keys / name], check=True)
        (keys / "authorized").write_text((keys / "user.pub").read_text())
        with socket.socket() as one:
            one.bind(("127.0.0.1", 0))
            port = one.getsockname()[1]
        (keys / "sshd").write_text(
            f"Port {port}\nListenAddress 127.0.0.1\nHostKey {keys}/host\nAuthorizedKeysFile {keys}/authorized\n"
            f"StrictModes no\nPidFile none\nPasswordAuthentication no\nUsePAM no\nPermitRootLogin yes\n"
            f"SetEnv ASCERTAIN_HOME={self.environment['ASCERTAIN_HOME']}\n")
        pathlib.Path("/run/sshd").mkdir(exist_ok=True)
        server = subprocess.Popen(["/usr/sbin/sshd", "-D", "-e", "-f", str(keys / "sshd")], stderr=subprocess.PIPE)
        self.addCleanup(server.communicate)
        self.addCleanup(server.kill)
        (keys / "config").write_text(
            f"Host near far\n HostName 127.0.0.1\n Port {port}\n User {getpass.getuser()}\n IdentityFile {keys}/user\n"
            f" BatchMode yes\n StrictHostKeyChecking no\n UserKnownHostsFile {keys}/known\n LogLevel ERROR\n")
        ssh = f"ssh -F {keys}/config"
        for _ in range(100):
            if subprocess.run([*ssh.split(), "near", "true"], capture_output=True).returncode == 0:
                return ssh
            time.sleep(0.1)
        self.fail("sshd does not answer")

    def test_two_hosts_are_two_nodes_and_no_key_stays_behind(self):
        self.environment["ASCERTAIN_SSH"] = self.server()
        self.environment["ASCERTAIN_LISTEN"] = "tcp://127.0.0.1:*"
        self.environment["TMPDIR"] = str(self.folder)
        result = self.run_here(DEPLOY / "ssh.sh", "near,far", *self.command())
        self.assert_passed_on(result, ["near", "far"])
        time.sleep(1)
        self.assertEqual(list(self.folder.glob("tmp.*")), [])


if __name__ == "__main__":
    require("ssh", "sshd", "ssh-keygen")
    if os.geteuid() != 0:
        require("a-sshd-that-needs-no-root")
    unittest.main(verbosity=1)
