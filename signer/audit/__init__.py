"""What was decided, in an order nobody can change unseen."""
