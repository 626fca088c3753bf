"""Plays every fault, prints what it cost: `python -m benchmarks.faults [NAME …]`. Exit status 1 if it cost too much."""

import json
import sys
from dataclasses import asdict
from pathlib import Path

from benchmarks.faults.play import Account, play
from benchmarks.faults.scenarios import SCENARIOS, reason_not

RESULTS = Path(__file__).resolve().parents[1] / "results" / "faults.json"


def main(names: list[str]) -> int:
    accounts: list[Account] = []
    failed = False
    print(f"{'fault':28s}   out receipts  lost cut off  bare  recovery  1st picture  failures")
    for name in names or list(SCENARIOS):
        reason = reason_not(name)
        if reason is not None:
            print(f"{name:28s} not played: {reason}")
            continue
        account = play(name)
        accounts.append(account)
        print(
            f"{name:28s} {account.out:5d} {account.kept:8d} {account.lost:5d} {account.unread:7d} {account.bare:5d} "
            f"{account.recovery:7.2f} s  {account.first:9.2f} s  {account.failures}",
            flush=True,
        )
        for each in account.wrong():
            failed = True
            print(f"{'':28s} WRONG: {each}", flush=True)
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps([asdict(each) for each in accounts], indent=2) + "\n", encoding="utf-8")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
