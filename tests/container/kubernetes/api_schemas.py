"""Validates objects strictly against the schemas of Kubernetes' API. It runs in the Python that has
kubernetes-validate, and reads JSON on standard input:

    {"versions": ["1.30", ...], "renderings": {"name": [object, ...], ...}}

It writes a JSON array of faults, as "name 1.30 Deployment/haproxy: ...".
"""

import functools
import json
import sys

import kubernetes_validate
from kubernetes_validate import utils

# The package would read the schemas of a version, 2 MB, again for each object.
utils.schema_contents = functools.lru_cache(maxsize=None)(utils.schema_contents)


def faults(renderings, versions):
    for name, objects in renderings.items():
        for version in versions:
            for thing in objects:
                fault = fault_of(json.dumps(thing), version)
                if fault:
                    yield f"{name} {version} {thing['kind']}/{thing['metadata']['name']}: {fault}"


@functools.lru_cache(maxsize=None)  # most objects are the same in several renderings
def fault_of(text, version):
    try:
        kubernetes_validate.validate(json.loads(text), version, strict=True)
        return None
    except (kubernetes_validate.ValidationError, kubernetes_validate.SchemaNotFoundError) as error:
        return error.message


def main():
    asked = json.load(sys.stdin)
    json.dump(list(faults(asked["renderings"], asked["versions"])), sys.stdout)


if __name__ == "__main__":
    main()
