"""Other job queues on the same engine, each at its fastest setting that still survives a power cut."""
