"""Ways to write a path, and what each becomes by the rules of docs/paths.md.

The tests hold HAProxy's lines against this table, and can hold any other program that normalises
paths against it. SPELLINGS has pairs of a raw path, as it stands in a request line before the `?`,
and the normalised path, both in Latin-1. REFUSED has raw paths without a normalised one. RAW_BYTES
has raw paths that HAProxy refuses by itself, before any rule; a program that gets its paths from
elsewhere has to refuse them too.
"""

SPELLINGS = [
    # As it stands.
    ("/login", "/login"),
    ("/", "/"),
    ("/Login", "/Login"),  # case is a policy's matter
    ("/login.html", "/login.html"),
    ("/a+b", "/a+b"),  # a plus is a space in queries only
    ("/a&b=c,d:e@f!$'()*~-_", "/a&b=c,d:e@f!$'()*~-_"),
    # Escapes are decoded once.
    ("/%6cogin", "/login"),
    ("/%6Cogin", "/login"),
    ("/%4Cogin", "/Login"),
    ("/%6c%6f%67%69%6e", "/login"),
    ("/a%2Bb%20c", "/a+b c"),
    ("/a%3fb", "/a?b"),
    ("/a%3f+b", "/a?+b"),
    ("/%256cogin", "/%6cogin"),
    ("/%252e%252e/login", "/%2e%2e/login"),
    ("/%25", "/%"),
    ("/%25zz", "/%zz"),
    ("/%2500", "/%00"),
    ("/%c3%a4", "/\xc3\xa4"),
    ("/%ff%80%C0%AF", "/\xff\x80\xc0\xaf"),  # not UTF-8
    # Slashes and backslashes.
    ("//login", "/login"),
    ("///a////login", "/a/login"),
    ("/%2flogin", "/login"),
    ("/%2Flogin", "/login"),
    ("/a%2flogin", "/a/login"),
    ("/\\login", "/login"),
    ("/a\\login", "/a/login"),
    ("/%5clogin", "/login"),
    ("/%5C/\\login\\", "/login"),
    # The last slash.
    ("/login/", "/login"),
    ("/login//", "/login"),
    ("/login%2f", "/login"),
    ("/login%5c", "/login"),
    ("//", "/"),
    ("/%2f", "/"),
    ("/\\", "/"),
    # Parameters of segments.
    ("/login;a=1", "/login"),
    ("/login;", "/login"),
    ("/login;a=1;b=2,3", "/login"),
    ("/login%3ba=1", "/login"),
    ("/login;a=%2fx", "/login/x"),  # the escape is decoded before the segment is cut
    ("/login;a=1/", "/login"),
    ("/a;x/login;y", "/a/login"),
    ("/;x/login", "/login"),
    ("/;", "/"),
    ("/;a;b/;c", "/"),
    ("/login;a\\b", "/login/b"),
    # Dots that are no dot segments.
    ("/...", "/..."),
    ("/.well-known/x", "/.well-known/x"),
    ("/..a", "/..a"),
    ("/a..", "/a.."),
    ("/a.b/.c", "/a.b/.c"),
    ("/.%20", "/. "),
    # All rules together.
    ("/a/;/login", "/a/login"),
    ("/a;/;//login;/;", "/a/login"),
]

REFUSED = [
    # Dot segments, however deep, and however they come about.
    "/.", "/..", "/./", "/../", "/./login", "/../login", "/a/../login", "/a/./login", "/login/.",
    "/login/..", "/a/b/c/d/e/f/g/h/../../../../../../../../login",
    "/a" * 60 + "/.." * 60 + "/login",
    "/%2e/login", "/%2e%2e/login", "/.%2e/login", "/%2E./login", "/a/%2e%2e", "/a%2f..%2flogin",
    "/a\\..\\login", "/a%5c..%5clogin", "/a/..;/login", "/a/..;x=1/login", "/a/..%3b/login",
    "/a/.;x", "/;/../login", "/a;/..", "//..//login", "/a;%2f..%2flogin",
    # Escapes that are none: what can't be decoded would else be missing.
    "/%", "/%6", "/login%", "/login%2", "/%zz", "/%6gogin", "/%%36cogin", "/login%u006c", "/%-1",
    # What ends a string or a line for some programs, or a path.
    "/login%00", "/%00", "/login%00.html", "/%00login", "/%00%01", "/login%0a",
    "/login%0D%0a", "/login%09",
    "/login%1f", "/login%1F/", "/login%7f", "/login%7F", "/%01", "/login%23", "/login%23/x", "/%23",
]

RAW_BYTES = [
    "/#", "/login#", "/login#/x", "/login\x00", "/login\x01", "/login\tx", "/\x7flogin",
]
