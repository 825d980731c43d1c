"""No example fails because the machine is busy: time is measured in bench/."""

from hypothesis import settings

settings.register_profile("podmedic", deadline=None)
settings.load_profile("podmedic")
