"""scripts/lib/matrix, which `scripts/test --matrix` runs."""

import runpy

from haproxy import SUITES
from processes import ROOT
from redis import FLAVOURS


def test_it_has_a_column_for_each_server_that_the_tests_know():
    matrix = runpy.run_path(str(ROOT / "scripts/lib/matrix"), run_name="matrix")

    assert set(matrix["SERVERS"].values()) == {*SUITES.values(), *FLAVOURS, "valkey-9"}
    assert matrix["COLUMNS"][-len(matrix["SERVERS"]):] == list(matrix["SERVERS"])


def test_a_report_is_counted_by_server(tmp_path):
    matrix = runpy.run_path(str(ROOT / "scripts/lib/matrix"), run_name="matrix")
    report = tmp_path / "report.xml"
    report.write_text("""<testsuites><testsuite>
        <testcase name="test_a[redis-7.0]"/>
        <testcase name="test_b[stopped-redis-7.0,haproxy-3.2]"/>
        <testcase name="test_c[haproxy-2.6]"><failure message="no"/></testcase>
        <testcase name="test_d"/>
    </testsuite></testsuites>""")

    assert dict(zip(matrix["SERVERS"], matrix["count_servers"](report))) == {
        "HAProxy 2.6": "1 of 1 failed", "HAProxy 3.0": "0 of 0 failed", "HAProxy 3.2": "1", "Redis 7.0": "2",
        "Redis 8.0": "0 of 0 failed", "Valkey 8.1": "0 of 0 failed", "Valkey 9": "0 of 0 failed"}
