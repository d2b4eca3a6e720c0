"""The outside: Kafka, cache, providers, telemetry, web. They do not know one another."""
