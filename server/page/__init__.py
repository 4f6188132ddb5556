"""The page at `GET /`: people compare variants side by side and watch experiments and a study.

Plain web components, no build step, nothing from outside. The files hold no data, so they need no key; what
the page shows comes from the gateway's own paths and needs one.
"""
