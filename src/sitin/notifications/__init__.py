"""Outbox, webhook endpoints, deliveries, callbacks. Written to in the transaction of the cause."""
