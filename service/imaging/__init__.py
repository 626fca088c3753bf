"""Pure image work: bytes and arrays in, arrays and bytes out. No I/O, no async, no settings."""
