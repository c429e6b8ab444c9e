//! The memory store: its bounds, what it keeps when it is full, and what it gives back.

mod bounds;
mod churn;
mod footprint;
mod held;
mod hit_ratio;
mod reclaim;
mod support;
