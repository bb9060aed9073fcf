"""Reads what scripts/sbom prints, and holds it against what it is about."""

import hashlib
import json

from processes import ROOT
from tools import run


def sbom_of(file):
    """The document, after a look at what SPDX 2.3 wants of every document: names that are unique and known."""
    document = json.loads(run(ROOT / "scripts/sbom", file))
    parts = [*document["packages"], *document["files"]]
    names = [document["SPDXID"], *(part["SPDXID"] for part in parts)]
    assert (document["spdxVersion"], document["dataLicense"]) == ("SPDX-2.3", "CC0-1.0")
    assert len(set(names)) == len(names)
    for relation in document["relationships"]:
        assert {relation["spdxElementId"], relation["relatedSpdxElement"]} <= set(names)
    return document


def versions_of(document):
    """The version of each package but the first, which is what the document is about."""
    return {package["name"]: package["versionInfo"] for package in document["packages"][1:]}


def hashes_of(document):
    """By name, the SHA-256 of each file."""
    return {file["fileName"].removeprefix("./"): checksum["checksumValue"]
            for file in document["files"] for checksum in file["checksums"]
            if checksum["algorithm"] == "SHA256"}


def hashes_in(folder):
    """The same of the files of a folder."""
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in folder.rglob("*") if path.is_file() and not path.is_symlink()}
