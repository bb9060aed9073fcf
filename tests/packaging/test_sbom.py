"""The bill of materials of the package."""

import hashlib
import re

from sboms import hashes_in, hashes_of, sbom_of, versions_of
from tools import run


def field(package, name):
    return run("dpkg-deb", "--field", package, name).strip()


def test_it_names_the_packages_that_ours_needs_with_their_versions(packages):
    package = packages["ratelimit-spoa"]
    document = sbom_of(package)
    needed = [need.partition(" ")[0] for need in field(package, "Depends").split(", ")]

    assert len(needed) >= 6
    assert versions_of(document) == {
        name: run("dpkg-query", "-W", "-f", "${Version}", name) for name in needed}
    assert document["packages"][0]["versionInfo"] == field(package, "Version")
    assert {"libhiredis": "BSD-3-Clause", "libev": "BSD-2-Clause OR GPL-2.0-or-later",
            "libc": "LGPL-2.1-or-later"}.items() <= {
                re.match("[a-z]+", each["name"])[0]: each["licenseDeclared"]
                for each in document["packages"]}.items()


def test_it_has_the_hash_of_the_package_and_of_every_file_in_it(packages, tmp_path):
    package = packages["ratelimit-spoa"]
    document = sbom_of(package)
    run("dpkg-deb", "--extract", package, tmp_path)

    assert hashes_of(document) == hashes_in(tmp_path)
    assert document["packages"][0]["checksums"] == [
        {"algorithm": "SHA256", "checksumValue": hashlib.sha256(package.read_bytes()).hexdigest()}]


def test_the_same_package_has_the_same_bill(packages):
    assert sbom_of(packages["ratelimit-spoa"]) == sbom_of(packages["ratelimit-spoa"])
