"""Pictures of the released family, many times faster than its plain path and within a stated error of it."""
