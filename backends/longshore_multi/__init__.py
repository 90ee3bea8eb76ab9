"""Several stores at once: new jobs are spread over them, what has a name lives at its home.

See docs/design/several-stores.md.
The driver is `longshore_multi.driver.MultiDriver`; it opens the others by their URLs.
"""
