"""Certificates for tests, made by openssl: an authority, and what it signs."""

import itertools
import subprocess
from pathlib import Path

CURVE = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]


class Pair:
    """A certificate and its key, in files of these names."""

    def __init__(self, directory, name):
        self.cert, self.key = directory / f"{name}.crt", directory / f"{name}.key"

    def replace(self, other):
        """Puts the files of another pair in their place, one after the other, as tools do."""
        for old, new in ((self.cert, other.cert), (self.key, other.key)):
            copy = old.with_suffix(".new")
            copy.write_bytes(new.read_bytes())
            copy.chmod(0o644)
            copy.rename(old)


class Authority(Pair):
    """An authority of its own. Its certificate is `cert`."""

    def __init__(self, directory, name="ca"):
        super().__init__(Path(directory), name)
        self.directory, self.numbers = Path(directory), itertools.count(1)
        openssl("req", "-x509", *CURVE, "-nodes", "-days", "30", "-subj", f"/CN={name}",
                "-addext", "keyUsage=critical,keyCertSign", "-keyout", self.key, "-out", self.cert)

    def issue(self, *names, days=(-1, 30), key=None):
        """A pair for these names, such as DNS:localhost or IP:127.0.0.1. `days` say from when until
        when it is valid, counted from now; `key` has the words for another kind of key."""
        pair = Pair(self.directory, f"{self.cert.stem}-{next(self.numbers)}")
        request, extensions = pair.cert.with_suffix(".csr"), pair.cert.with_suffix(".ext")
        extensions.write_text(f"subjectAltName={','.join(names)}\n" if names else
                              "basicConstraints=CA:FALSE\n")
        openssl("req", "-new", *(key or CURVE), "-nodes", "-subj", "/CN=test", "-keyout", pair.key,
                "-out", request)
        openssl("ca", "-batch", "-notext", "-config", self._configuration(), "-keyfile", self.key,
                "-cert", self.cert, "-extfile", extensions, "-in", request, "-out", pair.cert,
                "-startdate", when(days[0]), "-enddate", when(days[1]))
        pair.key.chmod(0o644)  # for the user of the container
        return pair

    def _configuration(self):
        """`openssl ca` alone can say when a certificate begins."""
        configuration = self.directory / f"{self.cert.stem}.cnf"
        if not configuration.exists():
            (self.directory / f"{self.cert.stem}.index").write_text("")
            configuration.write_text(
                "[ca]\ndefault_ca=own\n[own]\ndefault_md=sha256\npolicy=any\nrand_serial=yes\n"
                f"unique_subject=no\nnew_certs_dir={self.directory}\n"
                f"database={self.directory}/{self.cert.stem}.index\n[any]\ncommonName=supplied\n")
        return configuration


def when(days):
    done = subprocess.run(["date", "-u", "-d", f"{days} days", "+%Y%m%d%H%M%SZ"], check=True,
                          capture_output=True, text=True)
    return done.stdout.strip()


def self_signed(directory, *names):
    pair = Pair(Path(directory), "self-signed")
    openssl("req", "-x509", *CURVE, "-nodes", "-days", "30", "-subj", "/CN=test",
            "-addext", f"subjectAltName={','.join(names)}", "-keyout", pair.key, "-out", pair.cert)
    return pair


def openssl(*words):
    done = subprocess.run(["openssl", *map(str, words)], stdin=subprocess.DEVNULL, text=True,
                          capture_output=True, check=False)
    assert done.returncode == 0, f"openssl {words}\n{done.stderr}"
