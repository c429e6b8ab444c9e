//! Two tiers: what every store promises, what every cache promises, and what only tiers do (t7).

mod alone;
mod conformance;
mod news;
mod scenarios;
mod support;
