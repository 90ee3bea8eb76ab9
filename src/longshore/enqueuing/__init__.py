"""From calls to stored jobs: past the hooks, in order, tied to one another."""
