"""No example fails because the machine is busy: time is measured in bench/."""

from hypothesis import HealthCheck, settings

settings.register_profile("podmedic", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("podmedic")
