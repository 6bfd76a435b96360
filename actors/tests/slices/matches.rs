//! Matches and parties, as they are listed.

use guildhall_actors::{
    endpoint::Endpoint,
    resources::{matches::ListMatches, matchmaker::GetMatchmakerStats, party::ListParties},
};
use guildhall_core::{Caller, Code};
use guildhall_proto::{
    Empty,
    api::{ListMatchesRequest, ListPartiesRequest, MatchmakerStats},
};

use crate::{postgres::Slices, refused};

#[test]
fn what_is_asked_of_matches_is_checked_and_finds_none() {
    let Some(slices) = Slices::start(|_| {}) else { return };
    let cx = &*slices.cx;
    slices.run(async {
        let list = async |request| ListMatches::handle(cx, &mut Caller::default(), request).await;
        let request = ListMatchesRequest::default;
        let text = |text: &str| Some(text.to_owned());
        let limit = "Invalid limit - limit must be between 1 and 100.";
        let most =
            "Maximum size must be greater than or equal to minimum size when both are specified.";
        let refusals = [
            (ListMatchesRequest { limit: Some(0), ..request() }, limit),
            (ListMatchesRequest { limit: Some(101), ..request() }, limit),
            (
                ListMatchesRequest { authoritative: Some(false), label: text("x"), ..request() },
                "Label filtering is not supported for non-authoritative matches.",
            ),
            (
                ListMatchesRequest { authoritative: Some(false), query: text("x"), ..request() },
                "Query filtering is not supported for non-authoritative matches.",
            ),
            (
                ListMatchesRequest { min_size: Some(-1), ..request() },
                "Minimum size must be 0 or above.",
            ),
            (
                ListMatchesRequest { max_size: Some(-1), ..request() },
                "Maximum size must be 0 or above.",
            ),
            (ListMatchesRequest { min_size: Some(5), max_size: Some(4), ..request() }, most),
        ];
        for (request, sentence) in refusals {
            let refusal = (Code::InvalidArgument, sentence.to_owned());
            assert_eq!(refused(list(request).await), refusal);
        }
        let unread = ListMatchesRequest { query: text("+label.a:\"open"), ..request() };
        let refusal = (Code::Internal, "Error listing matches.".to_owned());
        assert_eq!(refused(list(unread).await), refusal);
        let query = text("+label.mode:fast +label.level:>6");
        let filters = ListMatchesRequest {
            limit: Some(100),
            query,
            min_size: Some(0),
            max_size: Some(0),
            ..request()
        };
        assert!(list(filters).await.unwrap().matches.is_empty());
    });
}

#[test]
fn what_is_asked_of_parties_is_checked_and_finds_none() {
    let Some(slices) = Slices::start(|_| {}) else { return };
    let cx = &*slices.cx;
    slices.run(async {
        let list = async |limit, query: &str, cursor: &str| {
            let request = ListPartiesRequest {
                limit,
                open: Some(true),
                query: Some(query.to_owned()),
                cursor: Some(cursor.to_owned()),
            };
            ListParties::handle(cx, &mut Caller::default(), request).await
        };
        for limit in [0, 101] {
            let sentence = "Invalid limit - limit must be between 1 and 100.".to_owned();
            let refusal = (Code::InvalidArgument, sentence);
            assert_eq!(refused(list(Some(limit), "", "").await), refusal);
        }
        let refusal = (Code::Internal, "Error listing matches.".to_owned());
        assert_eq!(refused(list(None, "+label.a:\"open", "").await), refusal);
        assert_eq!(refused(list(None, "", "garbage").await), refusal);
        let found = list(Some(100), "+label.a:b", "").await.unwrap();
        assert!(found.parties.is_empty() && found.cursor.is_empty());
        let stats = GetMatchmakerStats::handle(cx, &mut Caller::default(), Empty {}).await;
        assert_eq!(stats.unwrap(), MatchmakerStats::default());
    });
}
