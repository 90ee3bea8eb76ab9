"""How much may run at a time, and in a time, in all processes together; and what is paused."""
