"""Hypothesis settings of these tests: drawing a scene takes a millisecond, but not on a busy machine."""

from hypothesis import settings

settings.register_profile("zoo", deadline=None)
settings.load_profile("zoo")
