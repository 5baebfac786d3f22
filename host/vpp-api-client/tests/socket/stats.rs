//! The statistics segment.
