"""What UJES costs, each time as a ratio to something everybody knows, in one run on one machine."""
