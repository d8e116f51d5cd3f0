"""How close a head comes to its photo: metrics, protocols and tables."""
