//! Layout of the statistics segment.
