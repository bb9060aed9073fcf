import importlib.util

import pytest

import schema_check
from cluster import Cluster, import_servers
from processes import ROOT


def load_fixtures_of_system_tests():
    """Fixtures of the system tests that containers do not need, and the folder above does not
    import."""
    spec = importlib.util.spec_from_file_location("system_fixtures_of_kubernetes",
                                                  ROOT / "tests/system/conftest.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


start_agent = load_fixtures_of_system_tests().start_agent


@pytest.fixture(scope="session")
def schema():
    """Returns a function that gives the faults of a list of objects, by the types of Kubernetes."""
    schema_check.install()
    return schema_check.faults


@pytest.fixture(scope="session")
def images(image, server_trees, tmp_path_factory):  # pylint: disable=unused-argument
    """The engine with all images that the pods of the manifests need."""
    import_servers(image, tmp_path_factory.mktemp("servers"))
    return image


@pytest.fixture
def cluster(images, tmp_path):
    opened = Cluster(images, tmp_path)
    yield opened
    opened.finish()
