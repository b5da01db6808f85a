//! The queue that gathers requests into batches: sans-IO, no clock, no thread.
