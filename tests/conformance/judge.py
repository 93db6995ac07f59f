"""Judges one run of the conformance suite by its JUnit report, and prints a summary.

Exit code 0: every test passed, or was skipped as expected. 1: anything else. The suite's own exit code cannot
tell: it is 0 for a run whose configuration could not be loaded, and 0 for skipped tests.
"""

import argparse
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

OUTPUT_MAX_LINES = 120
# Beyond this number of failures only names are printed; the suite's report has the rest.
OUTPUTS_MAX = 30
LOG_MAX_LINES = 40
NAME_PREFIX = "OCI Conformance Test/"


class Case:
    """One test of the suite: its name, result and output."""

    def __init__(self, element):
        self.name = (element.get("name") or "(unnamed)").removeprefix(NAME_PREFIX)
        self.status = element.get("status")
        self.reason = (element.findtext("system-out") or "").strip()
        self.output = (element.findtext("system-err") or "").strip()

    @property
    def passed(self):
        return self.status == "passed"

    @property
    def skipped(self):
        return self.status == "skipped"


def parse_arguments():
    """Parses the command line from tests/conformance/run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--suite", required=True)
    parser.add_argument("--report", required=True, type=Path)
    parser.add_argument("--suite-log", required=True, type=Path)
    parser.add_argument("--suite-code", required=True, type=int)
    parser.add_argument("--server-log", required=True, type=Path)
    parser.add_argument("--server-code", required=True, type=int)
    parser.add_argument("--registry", required=True)
    parser.add_argument("--spec-version", required=True)
    parser.add_argument("--passes-min", required=True, type=int)
    parser.add_argument("--totals", required=True, type=Path)
    parser.add_argument("--expect-skip", action="append", default=[])
    return parser.parse_args()


def read_report(path):
    """Returns the report's cases, the suite's configuration lines, and why it could not be read, if so."""
    try:
        root = ElementTree.parse(path).getroot()
    except (OSError, ElementTree.ParseError) as problem:
        return [], set(), f"no readable report: {problem}"
    config = next((p.get("value") for p in root.iter("property") if p.get("name") == "Config"), "") or ""
    return [Case(element) for element in root.iter("testcase")], set(config.splitlines()), None


def indented(text, lines_max):
    """Indents a test's output under its name; leaves out the middle of a long text."""
    lines = text.splitlines()
    if len(lines) > lines_max:
        half = lines_max // 2
        left_out = f"... {len(lines) - 2 * half} lines left out ..."
        lines = lines[:half] + [left_out] + lines[-half:]
    return "\n".join(f"    {line}" for line in lines)


def faults_of_run(arguments, cases, config, report_fault):
    """Lists what is wrong with the run as a whole."""
    faults = [report_fault] if report_fault else []
    if not report_fault:
        for line in (f"registry: {arguments.registry}", f'version: "{arguments.spec_version}"'):
            if line not in config and line.replace('"', "") not in config:
                faults.append(f"the suite's configuration lacks {line}")
    passes = sum(case.passed for case in cases)
    if passes < arguments.passes_min:
        faults.append(f"only {passes} tests passed, a whole run has at least {arguments.passes_min}")
    if arguments.suite_code != 0 and all(case.passed or case.skipped for case in cases):
        faults.append(f"the suite ended with {arguments.suite_code}, though no test failed")
    if arguments.server_code != 0:
        faults.append(f"the server ended with {arguments.server_code}")
    return faults


def main():
    arguments = parse_arguments()
    cases, config, report_fault = read_report(arguments.report)
    faults = faults_of_run(arguments, cases, config, report_fault)
    skips = [case for case in cases if case.skipped]
    unexpected_skips = [case for case in skips if case.name not in arguments.expect_skip]
    # A result that is neither passed nor skipped is a failure, whatever a later suite calls it.
    failures = [case for case in cases if not case.passed and not case.skipped]

    for case in skips:
        word = "SKIPPED, and should not be" if case in unexpected_skips else "skipped as expected"
        print(f"{arguments.suite}: {word}: {case.name}" + (f": {case.reason}" if case.reason else ""))
    for index, case in enumerate(failures):
        print(f"{arguments.suite}: FAILED: {case.name}")
        words = f"{case.reason}\n{case.output}" if index < OUTPUTS_MAX else case.reason
        print(indented(words, OUTPUT_MAX_LINES))
    for fault in faults:
        print(f"{arguments.suite}: FAILED: {fault}")
    if faults:
        for log in (arguments.suite_log, arguments.server_log):
            print(indented(log.read_text(errors="replace"), LOG_MAX_LINES))

    passed = sum(case.passed for case in cases)
    failed = len(failures) + len(unexpected_skips) + len(faults)
    skipped = len(skips) - len(unexpected_skips)
    print(f"{arguments.suite}: passed {passed}, failed {failed}, skipped {skipped}")
    with arguments.totals.open("a") as totals:
        totals.write(f"{passed} {failed} {skipped}\n")
    return 1 if failed else 0


sys.exit(main())
