"""Reads wall times in every time zone with Python's zoneinfo, and prints what it finds.

The first line is the release of the IANA database. For each change of the offset of a zone from 1990 to 2036, the lines
that follow say how wall times around it are read: zone, wall time, seconds since 1970, and "once", "gap" or "fold". The
wall times are seconds since 1970 as if they were UTC. zoneinfo reads a wall time in a gap with the offset from before
the gap, and one in a fold as the first, because fold=0 is its default.
"""

import zoneinfo
from datetime import datetime, timedelta, timezone
from pathlib import Path

import tzdata

EPOCH = datetime(1970, 1, 1)
START, END = datetime(1990, 1, 1), datetime(2037, 1, 1)
# Only the pinned package, and not the files of the machine.
ZONES = Path(tzdata.__file__).parent / "zoneinfo"
zoneinfo.reset_tzpath(to=[str(ZONES)])


def offset_at(zone, instant):
    return instant.replace(tzinfo=timezone.utc).astimezone(zone).utcoffset()


def changes(zone):
    """The instants at which the offset changes, with the offsets before and after."""
    step, instant = timedelta(days=4), START
    before = offset_at(zone, instant)
    while instant < END:
        after = offset_at(zone, instant + step)
        if after != before:
            low, high = instant, instant + step
            while high - low > timedelta(seconds=1):
                middle = low + timedelta(seconds=(high - low) // timedelta(seconds=2))
                if offset_at(zone, middle) == before:
                    low = middle
                else:
                    high = middle
            yield high, before, after
        instant, before = instant + step, after


def walls(instant, before, after):
    """Wall times at both edges of a gap or fold, one second outside of them, in the middle, and further away."""
    first, last = instant + min(before, after), instant + max(before, after)
    second, hours = timedelta(seconds=1), timedelta(hours=3)
    middle = first + (last - first) / 2
    return [first - hours, first - second, first, middle, last - second, last, last + hours]


def kind(zone, wall):
    zoned = wall.replace(tzinfo=zone)
    first, second = zoned.utcoffset(), zoned.replace(fold=1).utcoffset()
    return "once" if first == second else "fold" if first > second else "gap"


def main():
    print(tzdata.IANA_VERSION)
    seconds = timedelta(seconds=1)
    # Many names are links: their files are the same.
    readings = {}
    for name in sorted(zoneinfo.available_timezones()):
        data = (ZONES / name).read_bytes()
        if data not in readings:
            zone = zoneinfo.ZoneInfo(name)
            readings[data] = lines = []
            for wall in (wall for change in changes(zone) for wall in walls(*change)):
                instant = wall - wall.replace(tzinfo=zone).utcoffset()
                lines.append(f"{(wall - EPOCH) // seconds} {(instant - EPOCH) // seconds} {kind(zone, wall)}")
        print("\n".join([name, *readings[data]]))


if __name__ == "__main__":
    main()
