//! Table-driven tests of the writer and the graph together.
