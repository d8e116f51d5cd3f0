"""What a person can do, one function each: the only callers of the worker and the only place that words an error."""
