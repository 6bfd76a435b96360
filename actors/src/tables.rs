//! The lists of all endpoints and host functions: the only file that names every slice.

use crate::{endpoint::EndpointVisitor, host::HostFunction};

/// Shows every endpoint to `visitor`.
pub fn each_endpoint(visitor: &mut impl EndpointVisitor) {
    let _ = visitor;
}

/// Every host function, by name in the order of the list.
pub static HOST_FUNCTIONS: &[HostFunction] = &[];
