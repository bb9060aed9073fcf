"""Hostile input over HTTP: it gets a status or a closed connection, and other clients notice
nothing."""

import pytest

from cases import named
from http_client import CAPACITY, assert_problem, get_bytes, post_bytes

CLOSE = "Connection: close\r\n"
PREY = get_bytes("/check?policy=login&key=x")  # is smuggled behind a request; never to be seen
GOOD = b'{"policy":"login","key":"x"}'


@pytest.fixture
def watched(client):
    """Another client's balance, and that of the key which every broken request asks for."""
    assert client.check(policy="login", key="bystander").left == CAPACITY - 1
    yield client
    assert client.left("bystander") == CAPACITY - 1
    assert client.left("x") == CAPACITY
    with client.raw(get_bytes("/check?policy=wide&key=x")) as raw:
        assert raw.read_answer().left == 10**6 - 1
    with client.agent.connect() as peer:
        assert peer.ask(policy="login", key="bystander").remaining == CAPACITY - 2


def head(*fields, line="POST /check HTTP/1.1", host="Host: agent",
         kind="Content-Type: application/json"):
    return "\r\n".join([line, *filter(None, (host, kind)), *fields, "", ""]).encode("latin-1")


def line(text):
    return head(line=text, kind=None)


def chunked(*chunks, fields=("Transfer-Encoding: chunked",)):
    return head(*fields) + b"".join(chunks)


CHUNK = b"%x\r\n%s\r\n" % (len(GOOD), GOOD)
CHUNKED = "Transfer-Encoding: chunked"
LENGTH = f"Content-Length: {len(GOOD)}"

# Where a message ends is unclear: nothing behind it may be taken for a request.
FRAMING = {
    "CL and TE": head(LENGTH, CHUNKED) + b"0\r\n\r\n",
    "TE and CL": head(CHUNKED, LENGTH) + b"0\r\n\r\n",
    "two lengths": head("Content-Length: 0", LENGTH) + GOOD,
    "two equal lengths": head(LENGTH, LENGTH) + GOOD,
    "length list": head(f"Content-Length: {len(GOOD)}, {len(GOOD)}") + GOOD,
    "length negative": head("Content-Length: -1"),
    "length plus": head("Content-Length: +5") + b"12345",
    "length hex": head("Content-Length: 0x1c") + GOOD,
    "length empty": head("Content-Length:"),
    "length a word": head("Content-Length: five"),
    "length a fraction": head("Content-Length: 5.0"),
    "length with a space": head("Content-Length: 2 8") + GOOD,
    "TE twice": head(CHUNKED, CHUNKED) + CHUNK + b"0\r\n\r\n",
    "TE unknown": head("Transfer-Encoding: gzip") + GOOD,
    "TE identity": head("Transfer-Encoding: identity") + GOOD,
    "TE list": head("Transfer-Encoding: chunked, chunked") + CHUNK + b"0\r\n\r\n",
    "TE xchunked": head("Transfer-Encoding: xchunked") + CHUNK + b"0\r\n\r\n",
    "TE quoted": head('Transfer-Encoding: "chunked"') + CHUNK + b"0\r\n\r\n",
    "TE with a VT": head("Transfer-Encoding: \x0bchunked") + CHUNK + b"0\r\n\r\n",
    "TE with a NUL": head("Transfer-Encoding: chunked\0") + CHUNK + b"0\r\n\r\n",
    "TE before a colon": head("Transfer-Encoding : chunked") + CHUNK + b"0\r\n\r\n",
    "TE empty": head("Transfer-Encoding:") + GOOD,
    "TE in 1.0": head(CHUNKED, line="POST /check HTTP/1.0") + CHUNK + b"0\r\n\r\n",
    "TE folded": head("Transfer-Encoding:\r\n chunked") + CHUNK + b"0\r\n\r\n",
    "length before a colon": head(f"Content-Length : {len(GOOD)}") + GOOD,
    "folded": head("X-A: b\r\n c"),
    "folded first": head(host=" Host: agent"),
    "field without a colon": head("X-A b"),
    "field without a name": head(": b"),
    "field with a space in its name": head("X A: b"),
    "field with a NUL": head("X-A: b\0c"),
    "field with a NUL in its name": head("X\0A: b"),
    "field with a bare CR": head("X-A: b\rX-B: c"),
    "field with a control character": head("X-A: b\x01c"),
    "field with a non-ASCII name": head("X-\xe9: b"),
    "field with a bracket in its name": head("X[A]: b"),
    "two hosts": head("Host: other"),
    "no host": head(host=None),
    "no host at all": b"GET /health HTTP/1.1\r\n\r\n",
}

LINES = {
    "no version": line("GET /check?policy=login&key=x"),
    "version 1.10": line("GET /health HTTP/1.10"),
    "version without a number": line("GET /health HTTP/"),
    "version in small letters": line("GET /health http/1.1"),
    "another protocol": line("GET /health SIP/2.0"),
    "TLS hello": bytes.fromhex("16030100c8010000c40303") + bytes(200) + b"\r\n\r\n",
    "SPOP hello": b"\0\0\0\x86\x01\0\0\0\x01\0\0supported-versions\r\n\r\n",
    "no target": line("GET HTTP/1.1"),
    "spaces only": b"   \r\n\r\n",
    "a word": b"hello\r\n\r\n",
    "four words": line("GET /health x HTTP/1.1"),
    "two spaces": line("GET  /health HTTP/1.1"),
    "space before": line(" GET /health HTTP/1.1"),
    "space behind": line("GET /health HTTP/1.1 "),
    "a tab": line("GET\t/health\tHTTP/1.1"),
    "NUL in the target": line("GET /hea\0lth HTTP/1.1"),
    "NUL in the method": line("G\0T /health HTTP/1.1"),
    "control character in the target": line("GET /health\x01 HTTP/1.1"),
    "bare CR in the target": line("GET /health\rX HTTP/1.1"),
    "NULs": bytes(100) + b"\r\n\r\n",
}

BODIES = {
    "empty": b"", "a space": b" ", "a word": b"hello", "a number": b"1", "null": b"null",
    "an array": b"[]", "a string": b'"x"', "cut": GOOD[:-1], "cut string": GOOD[:-3],
    "two values": GOOD + GOOD, "a tail": GOOD + b"x", "a NUL behind": GOOD + b"\0",
    "a NUL in a string": b'{"policy":"login","key":"x\0"}',
    "an escaped NUL": b'{"policy":"login","key":"x\\u0000"}',
    "an escaped NUL in a name": b'{"policy":"login","key":"x","\\u0000":1}',
    "UTF-8 cut": b'{"policy":"login","key":"\xc3"}', "UTF-8 alone": b'{"key":"\x80"}',
    "UTF-8 overlong": b'{"policy":"login","key":"\xc0\xaf"}',
    "UTF-8 surrogate": b'{"policy":"login","key":"\xed\xa0\x80"}',
    "UTF-8 above": b'{"policy":"login","key":"\xf4\x90\x80\x80"}',
    "UTF-8 FF": b'{"policy":"login","key":"\xff"}',
    "UTF-8 bad in a name": b'{"policy":"login","key":"x","\xff":1}',
    "UTF-16": GOOD.decode().encode("utf-16"), "a BOM": b"\xef\xbb\xbf" + GOOD,
    "lone surrogate": b'{"policy":"login","key":"\\ud800"}',
    "swapped surrogates": b'{"policy":"login","key":"\\udc00\\ud800"}',
    "bad escape": b'{"policy":"login","key":"\\x41"}',
    "cut escape": b'{"policy":"login","key":"\\u00"}',
    "control character": b'{"policy":"login","key":"\n"}',
    "a comment": b'/**/{"policy":"login","key":"x"}',
    "a comma too many": b'{"policy":"login","key":"x",}', "single quotes": b"{'key':'x'}",
    "no quotes": b"{key:1}", "no colon": b'{"key" "x"}', "names of numbers": b'{1:"x"}',
    "1e999": b'{"policy":"login","key":"x","cost":1e999}',
    "-1e999": b'{"policy":"login","key":"x","cost":-1e999}',
    "1e-999": b'{"policy":"login","key":"x","cost":1e-999}',
    "1e99999999999": b'{"policy":"login","key":"x","cost":1e99999999999}',
    "capacity 1e999": b'{"algorithm":"token_bucket","capacity":1e999,"refill_rate":1,"key":"x"}',
    "NaN": b'{"policy":"login","key":"x","cost":NaN}',
    "Infinity": b'{"policy":"login","key":"x","cost":Infinity}',
    "01": b'{"policy":"login","key":"x","cost":01}',
    "+1": b'{"policy":"login","key":"x","cost":+1}',
    "1.": b'{"policy":"login","key":"x","cost":1.}',
    ".5": b'{"policy":"login","key":"x","cost":.5}',
    "0x1": b'{"policy":"login","key":"x","cost":0x1}',
    "a giant number": b'{"policy":"login","key":"x","cost":' + b"9" * 60000 + b"}",
    "nested arrays": b'{"policy":"login","key":' + b"[" * 10000 + b"]" * 10000 + b"}",
    "nested arrays, open": b"[" * 60000, "nested objects": b'{"a":' * 10000 + b"1" + b"}" * 10000,
    "nested checks": b'{"checks":' * 5000 + b"[]" + b"}" * 5000,
    "a field twice": b'{"policy":"login","key":"x","key":"x"}',
    "256 attributes": b'{"attributes":{' + b",".join(b'"a%d":1' % n for n in range(256)) + b"}}",
    "a million zeros": b"[" + b"0," * 30000 + b"0]",
}

TARGETS = {
    "%": "%", "%4": "%4", "%zz": "%zz", "%u0041": "%u0041", "NUL": "%00", "UTF-8 cut": "%c3",
    "UTF-8 overlong": "%c0%af", "UTF-8 FF": "%ff", "raw FF": "\xff", "a name's %": "x&%=1",
    "a name's NUL": "x&a%00b=1", "no name": "x&=1", "key twice": "x&key=x",
    "key twice, escaped": "x&k%65y=x", "cost -1": "x&cost=-1", "cost 1e999": "x&cost=1e999",
    "cost 2^63": f"x&cost={2**63}", "cost empty": "x&cost=", "capacity": "x&capacity=NaN",
    "256 attributes": "x&" + "&".join(f"a{n}" for n in range(256)),
}


def assert_one_answer(client, data, status):
    """It and the end of the connection, whatever follows."""
    with client.raw(data) as raw:
        answers = raw.read_all()
    assert [answer.status for answer in answers] == [status], answers
    if status >= 400:
        assert_problem(answers[0], status)


@pytest.mark.parametrize("data", named({**FRAMING, **LINES}))
def test_a_broken_header_is_400_and_the_end(watched, data):
    assert_one_answer(watched, data + PREY, 400)


@pytest.mark.parametrize("data", named({
    "version 0.9": line("GET /health HTTP/0.9"),
    "version 2.0": line("GET /health HTTP/2.0"),
    "HTTP/2 preface": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
}))
def test_another_version_is_505_and_the_end(watched, data):
    assert_one_answer(watched, data + PREY, 505)


@pytest.mark.parametrize("body", named(BODIES))
def test_a_broken_body_is_400(watched, body):
    with watched.raw(post_bytes(body, extra=CLOSE)) as raw:
        assert_problem(raw.read_answer(), 400)
        assert raw.is_ended()


@pytest.mark.parametrize("key", named(TARGETS))
def test_a_broken_query_is_400(watched, key):
    with watched.raw(get_bytes(f"/check?policy=login&key={key}", CLOSE)) as raw:
        assert_problem(raw.read_answer(), 400)
        assert raw.is_ended()


@pytest.mark.parametrize("value", named({
    "UTF-8 cut": "\xc3", "UTF-8 FF": "\xff", "overlong": "\xc0\xaf"}))
def test_a_broken_header_of_an_attribute_is_400(watched, value):
    data = get_bytes("/check?policy=login", f"X-Attr-Src: {value}\r\n" + CLOSE)
    with watched.raw(data) as raw:
        assert_problem(raw.read_answer(), 400, "src")


@pytest.mark.parametrize("data", named({
    "a field twice": get_bytes("/check?policy=login", "X-Attr-Src: x\r\nX-Attr-Src: x\r\n" + CLOSE),
    "without a name": get_bytes("/check?policy=login&key=x", "X-Attr-: x\r\n" + CLOSE),
}))
def test_a_header_of_no_attribute_is_400(watched, data):
    assert_one_answer(watched, data, 400)


@pytest.mark.parametrize("data, status", named({
    "one field": (head("X-A: " + "b" * 100_000), 431),
    "many fields": (head(*(f"X-{n}: b" for n in range(5000))), 431),
    "a name": (head("X" * 100_000 + ": b"), 431),
    "a field without an end": (b"GET / HTTP/1.1\r\nX: " + b"a" * 10**6, 431),
    "a target": (line("GET /" + "a" * 100_000 + " HTTP/1.1"), 414),
    "a query": (line("GET /check?policy=login&key=x&a=" + "b" * 100_000 + " HTTP/1.1"), 414),
    "a giant length": (head(f"Content-Length: {2**63 - 1}"), 413),
    "a length of 2^64+28": (head("Content-Length: 18446744073709551644") + GOOD + PREY, 413),
    "a length above 64 KiB": (head("Content-Length: 65537"), 413),
    "chunks above 64 KiB": (chunked(*[b"1000\r\n" + b" " * 4096 + b"\r\n"] * 17), 413),
    "a chunk above 2^64": (chunked(b"1" + b"0" * 16 + b"\r\n"), 413),
    "a giant chunk": (chunked(b"7fffffffffffffff\r\n", b" " * 70_000), 413),
}))
def test_what_is_too_large_is_refused_and_the_end(watched, data, status):
    assert_one_answer(watched, data, status)


@pytest.mark.parametrize("chunks", named({
    "no size": [b"\r\n"], "size not hex": [b"xyz\r\n"], "size negative": [b"-1\r\n"],
    "size 0x": [b"0x1c\r\n" + GOOD + b"\r\n"],
    "no end of chunk": [b"1c\r\n" + GOOD + b"xx0\r\n\r\n"],
    "a space before": [b" 1c\r\n" + GOOD + b"\r\n"],
    "size too small": [b"1b\r\n" + GOOD + b"\r\n0\r\n\r\n"],
}))
def test_broken_chunks_are_400_and_the_end(watched, chunks):
    assert_one_answer(watched, chunked(*chunks) + PREY, 400)


@pytest.mark.parametrize("data", named({
    "the first line": b"GET /check?policy=login&ke", "a header": head(LENGTH)[:-2],
    "a body": post_bytes(GOOD)[:-1], "a chunk": chunked(CHUNK[:-4]), "chunks": chunked(CHUNK),
    "nothing": b""}))
def test_a_cut_request_is_not_taken(watched, data):
    with watched.raw(data) as raw:
        raw.end_sending()
        assert {answer.status for answer in raw.read_all()} <= {400}


BODY = b'{"policy":"wide","key":"other"}'


OF_BODY = b"%x\r\n%s\r\n" % (len(BODY), BODY)


def test_small_chunks_are_taken(watched):
    """There is no doubt where they end: what comes behind is a request like any other."""
    chunks = [b"1\r\n%c\r\n" % byte for byte in BODY]

    with watched.raw(chunked(*chunks, b"0\r\n\r\n")) as raw:
        assert raw.read_answer().status == 200

    assert watched.left("other", "wide") == 10**6 - 1


def test_trailers_are_taken_and_nothing_behind_them(watched):
    """A proxy before the agent may have read them otherwise."""
    trailers = b"0\r\nContent-Length: 5\r\nX-Attr-Key: y\r\n\r\n"

    assert_one_answer(watched, chunked(OF_BODY, trailers) + PREY, 200)

    assert watched.left("other", "wide") == 10**6 - 1


@pytest.mark.parametrize("chunks", named({
    "an extension": [b"%x;a=b\r\n%s\r\n0\r\n\r\n" % (len(BODY), BODY)],
    "an extension at the end": [OF_BODY, b"0;a=b\r\n\r\n"],
    "an extension and a trailer": [OF_BODY, b"0;a=b\r\nX-A: b\r\n\r\n"],
}))
def test_extensions_of_chunks_are_ignored_and_nothing_behind_them_is_taken(watched, chunks):
    """A proxy before the agent may have read them otherwise."""
    assert_one_answer(watched, chunked(*chunks) + PREY, 200)

    assert watched.left("other", "wide") == 10**6 - 1


@pytest.mark.parametrize("chunks", named({
    "an extension with a bare LF": [b"%x;a=b\n%s\r\n0\r\n\r\n" % (len(BODY), BODY)],
    "an extension with a bare CR": [b"%x;a\rb\r\n%s\r\n0\r\n\r\n" % (len(BODY), BODY)],
    "a bare LF": [b"%x\n%s\n0\n\n" % (len(BODY), BODY)],
    "a bare LF behind a size": [b"%x\n%s\r\n0\r\n\r\n" % (len(BODY), BODY)],
    "a bare LF behind a chunk": [b"%x\r\n%s\n0\r\n\r\n" % (len(BODY), BODY)],
    "a bare LF behind the last size": [OF_BODY, b"0\n\r\n"],
    "a bare LF at the end": [OF_BODY, b"0\r\n\n"],
}))
def test_chunks_whose_lines_end_otherwise_are_400_and_the_end(watched, chunks):
    """Readers differ in what they take for the end of a line (RFC 9112, section 7.1)."""
    assert_one_answer(watched, chunked(*chunks) + PREY, 400)

    assert watched.left("other", "wide") == 10**6
