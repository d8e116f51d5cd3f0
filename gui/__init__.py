"""The window: one front end on ``core``. It never imports torch; heavy work belongs to ``engine_worker``'s thread."""
