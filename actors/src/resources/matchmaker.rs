//! The matchmaker, as its state is shown to clients. What runs it is in `realtime/matchmaker`.

use guildhall_core::{Caller, Result};
use guildhall_proto::{Empty, api::MatchmakerStats};

use crate::{cx::Cx, endpoint::Body, endpoints};

endpoints! {
    /// How many tickets wait, since when, and how long the last ones took.
    Get "/v2/matchmaker/stats" => GetMatchmakerStats(Empty) -> MatchmakerStats
        { auth: Session, body: Body::None, handle: get_matchmaker_stats, input: false }
}

async fn get_matchmaker_stats(cx: &Cx, _: &mut Caller, _: Empty) -> Result<MatchmakerStats> {
    Ok(MatchmakerStats::clone(&cx.matchmaker.stats()))
}
