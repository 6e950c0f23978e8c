"""The fault run: real processes, really killed, and a ledger that tells what the provider truly took."""
