//! What is published and comes with later capabilities.

/// The published host functions that nothing serves yet.
pub struct NotBuilt {
    pub host_functions: &'static [&'static str],
}

/// The one list of them. A capability takes its names out.
pub const NOT_BUILT: NotBuilt = NotBuilt {
    host_functions: &[
        "get_satori",
        "session_disconnect",
        "status_follow",
        "status_unfollow",
        "stream_close",
        "stream_count",
        "stream_send",
        "stream_send_raw",
        "stream_user_get",
        "stream_user_join",
        "stream_user_kick",
        "stream_user_leave",
        "stream_user_list",
        "stream_user_update",
    ],
};
