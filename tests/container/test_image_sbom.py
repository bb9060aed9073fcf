"""The bill of materials of the image, held against the image's files."""

import sys
import tarfile

import pytest

from engine import IMAGE
from processes import ROOT

sys.path.insert(0, str(ROOT / "tests/packaging"))

# pylint: disable=wrong-import-position
from sboms import hashes_in, hashes_of, sbom_of, versions_of  # noqa: E402


@pytest.fixture(name="archive", scope="module")
def save_image(image, tmp_path_factory):
    archive = tmp_path_factory.mktemp("saved") / "image.tar"
    image.run("save", "--format", "docker-archive", "-o", archive, IMAGE)
    return archive


@pytest.fixture(name="files", scope="module")
def unpack_layers(archive, tmp_path_factory):
    """The files as they are in the layers, without those that an engine adds when a container runs."""
    folder = tmp_path_factory.mktemp("layers")
    with tarfile.open(archive) as saved:
        for name in saved.getnames():
            if name.endswith(".tar"):
                with tarfile.open(fileobj=saved.extractfile(name)) as layer:
                    layer.extractall(folder)
    return folder


def test_it_lists_every_file_with_its_hash(archive, files):
    assert hashes_of(sbom_of(archive)) == hashes_in(files)
    assert (files / "usr/bin/ratelimit-spoa").exists()


def test_it_names_the_packages_of_which_files_are_in_the_image(archive, files):
    entries = [path.read_text() for path in (files / "var/lib/dpkg/status.d").iterdir()
               if path.suffix != ".md5sums"]
    fields = [dict(line.split(": ", 1) for line in text.splitlines()
                   if line.startswith(("Package: ", "Version: "))) for text in entries]

    assert versions_of(sbom_of(archive)) == {each["Package"]: each["Version"] for each in fields}
    assert len(fields) >= 10


def test_it_says_of_which_package_each_library_and_zone_is(archive):
    document = sbom_of(archive)
    names = {part["SPDXID"]: part.get("fileName", part.get("name"))
             for part in [*document["packages"], *document["files"]]}
    owner = {names[each["spdxElementId"]]: names[each["relatedSpdxElement"]]
             for each in document["relationships"] if each["relationshipType"] == "GENERATED_FROM"}

    assert {name for name in hashes_of(document)
            if ".so" in name or name.startswith(("usr/share/zoneinfo/", "etc/ssl/"))} <= {
                name.removeprefix("./") for name in owner}
    [libcrypto] = [name for name in owner if name.endswith("/libcrypto.so.3")]
    assert owner[libcrypto] == "libssl3t64"
    assert owner["./usr/share/zoneinfo/Europe/Berlin"] == "tzdata"
