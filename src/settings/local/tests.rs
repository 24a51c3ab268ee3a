//! Every option counts, and every fault is told.
