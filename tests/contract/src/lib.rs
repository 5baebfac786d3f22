//! Contract batteries: the same tests on every implementation of a boundary. All of it is in `tests/`.
