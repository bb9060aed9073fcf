"""What test_openapi.py changes in schemathesis, which loads this file (SCHEMATHESIS_HOOKS)."""

import hypothesis
import schemathesis

# schemathesis asks Hypothesis to look for requests that the agent takes. Hypothesis then makes such a
# request smaller step by step, which takes examples and, where the request is large, minutes. Without
# a target each example is a new one.
hypothesis.target = lambda *_arguments, **_options: None

PARAMETERS = {"policy", "header", "from", "deny_status", "xff", "uri"}
ATTRIBUTES_MAX = 255 - len(["src", "method", "host", "path", "raw_path", "query"])


def attribute_names(query):
    """The names of the attributes that a query of /auth makes, `policy` among them."""
    headers = query.get("header", [])
    headers = headers if isinstance(headers, list) else [headers]
    return [str(header).lower() for header in headers] + \
        [name for name in query if name == "policy" or name not in PARAMETERS]


def has_object(query):
    """Whether a parameter's value is an object. schemathesis sends it under other names, such as
    `deny_status[x]`, which are attributes."""
    return any(isinstance(query.get(name), dict) for name in PARAMETERS) or \
        any("[" in name and name.partition("[")[0] in PARAMETERS for name in query)


@schemathesis.hook
def map_query(context, query):
    """`uri` of /auth is the last parameter. OpenAPI can't say so, but the description does."""
    if context.operation.path == "/auth" and query and "uri" in query:
        query["uri"] = query.pop("uri")
    return query


@schemathesis.hook
def filter_case(_context, case):
    """Leaves out what is refused at /auth and what a schema can't say, but the description does: two
    parameters make an attribute of the same name, or all together make too many. And what is another
    request in a query than in the schema."""
    if case.path != "/auth" or not isinstance(case.query, dict):
        return True
    names = attribute_names(case.query)
    return len(names) == len(set(names)) and len(names) <= ATTRIBUTES_MAX and not has_object(case.query)
