"""What goes wrong between applications and the servers of their stores: the same tests for every engine."""
