"""Stand-ins for what is too heavy to install for a test, or too far away."""
