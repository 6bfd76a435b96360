#!/usr/bin/env python3
"""Judges a conformance report against the cases that may still fail: judge.py REPORT LIST.

LIST holds lines `may-fail PATTERN  why`. A failure that no pattern names, and a pass that is named
in full (without a wildcard), are both wrong: the list is to stay true.
"""

import fnmatch
import json
import sys


def main(report_path, list_path):
    with open(report_path, encoding="utf-8") as file:
        cases = {case["case"]: case for case in json.load(file)["cases"]}
    with open(list_path, encoding="utf-8") as file:
        lines = [line.split(None, 2) for line in file if line.startswith("may-fail ")]
    patterns = [line[1] for line in lines]
    wrong = 0
    for name, case in cases.items():
        named = [pattern for pattern in patterns if fnmatch.fnmatch(name, pattern)]
        if not case["passed"] and not named:
            wrong += 1
            print(f"FAIL {name}: {case['about']}\n  step {case['step']}\n{case['diff']}")
        elif case["passed"] and name in named:
            wrong += 1
            print(f"PASS {name}, but {list_path} says that it may fail: take it off the list")
    passed = sum(case["passed"] for case in cases.values())
    print(f"conformance: {passed} of {len(cases)} cases pass, {len(cases) - passed} fail, "
          f"{wrong} of them against the list")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:3]))
