"""On PYTHONPATH this puts the wall clock of a Python process off by CLOCK_SKEW_SECONDS; the monotonic clock stays right."""

from __future__ import annotations

import datetime  # noqa: ICN001 - it is its contents that change
import os
import time

SKEW = float(os.environ["CLOCK_SKEW_SECONDS"])
OFF = datetime.timedelta(seconds=SKEW)
Real, real_time, real_time_ns = datetime.datetime, time.time, time.time_ns
real_gmtime, real_localtime = time.gmtime, time.localtime


class Instances(type):
    """What C code makes is of the real class."""

    def __instancecheck__(cls, instance: object) -> bool:
        return isinstance(instance, Real)

    def __subclasscheck__(cls, other: type) -> bool:
        return issubclass(other, Real)


class Skewed(Real, metaclass=Instances):
    @classmethod
    def now(cls, tz=None):
        return Real.now(tz) + OFF

    @classmethod
    def utcnow(cls):
        return Real.now(datetime.timezone.utc).replace(tzinfo=None) + OFF

    @classmethod
    def today(cls):
        return cls.now()


datetime.datetime = Skewed
time.time = lambda: real_time() + SKEW
time.time_ns = lambda: real_time_ns() + int(SKEW * 10**9)
time.gmtime = lambda seconds=None: real_gmtime(time.time() if seconds is None else seconds)
time.localtime = lambda seconds=None: real_localtime(time.time() if seconds is None else seconds)
