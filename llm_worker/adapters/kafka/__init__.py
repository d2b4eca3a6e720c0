"""Kafka through Faust and aiokafka, made safe: see docs/reliability.md."""
