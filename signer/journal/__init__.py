"""The one writer of durable state: group commit over a SQL database."""
