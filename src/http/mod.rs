//! The edge of the client port.

mod bind;
mod query;
