"""Asks a package for the next times of cron expressions: python cron.py croniter|cronsim

The input and the output are those of cron.mjs.
"""

import sys
import zoneinfo
from datetime import datetime, timezone
from pathlib import Path

import tzdata
from croniter import CroniterBadDateError, croniter
from cronsim import CronSim

COUNT = 5
# Only the pinned package, and not the files of the machine.
zoneinfo.reset_tzpath(to=[str(Path(tzdata.__file__).parent / "zoneinfo")])


def with_croniter(expression, start):
    times, found = croniter(expression, start, second_at_beginning=True, max_years_between_matches=120), []
    # An expression that never fires is accepted, and get_next raises.
    try:
        while len(found) < COUNT:
            found.append(times.get_next(datetime))
    except CroniterBadDateError:
        pass
    return found


def with_cronsim(expression, start):
    return [at for at, _ in zip(CronSim(expression, start), range(COUNT))]


def main():
    following = {"croniter": with_croniter, "cronsim": with_cronsim}[sys.argv[1]]
    print(tzdata.IANA_VERSION)
    for line in sys.stdin:
        expression, zone, start = line.rstrip("\n").split("\t")
        start = datetime.fromtimestamp(int(start), timezone.utc).astimezone(zoneinfo.ZoneInfo(zone))
        try:
            print(*(int(at.timestamp()) for at in following(expression, start)))
        except Exception:
            print("refused")


if __name__ == "__main__":
    main()
