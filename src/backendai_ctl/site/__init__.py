"""The site file: schema, reading, reference."""
