//! The memory store: its bounds, what it keeps when it is full, and what it gives back.

mod bounds;
mod churn;
mod hit_ratio;
mod reclaim;
mod support;
