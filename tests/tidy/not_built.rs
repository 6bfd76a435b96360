//! What is published and comes with later capabilities.

/// The published host functions that nothing serves yet.
pub struct NotBuilt {
    pub host_functions: &'static [&'static str],
}

/// The one list of them. A capability takes its names out.
pub const NOT_BUILT: NotBuilt = NotBuilt { host_functions: &["get_satori"] };
