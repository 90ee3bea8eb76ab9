"""What runs jobs: a courier between the store and the slots, a heartbeat, and a supervisor of several processes."""
