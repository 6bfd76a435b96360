//! The rules one by one.

use super::{super::*, *};

const PAIR: (i32, i32, i32) = (2, 2, 1);

#[test]
fn two_who_match_are_matched_in_the_next_interval() {
    let mut room = Room::new(RULES);
    room.add(ticket(&[1], PAIR, &["region=eu"], "+properties.region:eu"));
    room.add(ticket(&[2], PAIR, &["region=us"], "+properties.region:us"));
    room.add(ticket(&[3], PAIR, &["region=eu"], "+properties.region:eu"));
    assert_eq!(room.interval(), [[2, 0]]);
    assert_eq!((room.pool.len(), room.pool.active()), (1, 0));
    assert!(room.interval().is_empty());
    room.add(ticket(&[4], PAIR, &["region=us"], "+properties.region:us"));
    assert_eq!(room.interval(), [[1, 3]]);
    assert!(room.pool.is_empty());
}

#[test]
fn only_the_query_of_who_looks_counts() {
    let mut room = Room::new(RULES);
    room.add(ticket(&[1], PAIR, &["mode=a"], "*"));
    room.add(ticket(&[2], PAIR, &["mode=b"], "+properties.mode:b"));
    assert_eq!(room.interval(), [[1, 0]]);
    // The older one looked, in vain, before the younger came; now only the younger looks.
    room.add(ticket(&[1], PAIR, &["mode=a"], "*"));
    assert!(room.interval().is_empty());
    room.add(ticket(&[2], PAIR, &["mode=b"], "+properties.mode:b"));
    assert!(room.interval().is_empty());
}

#[test]
fn with_mutual_queries_both_sides_count_until_it_is_late() {
    let mutual = Rules { mutual: true, ..RULES };
    let mut room = Room::new(mutual);
    room.add(ticket(&[1], PAIR, &["mode=a"], "*"));
    room.add(ticket(&[2], PAIR, &["mode=b"], "+properties.mode:b"));
    assert!(room.interval().is_empty());
    room.add(ticket(&[3], PAIR, &["mode=b"], "+properties.mode:a"));
    assert_eq!(room.interval(), [[0, 2]]);

    let mut room = Room::new(mutual);
    room.add(ticket(&[1], (2, 4, 2), &["mode=a"], "*"));
    room.add(ticket(&[2], (2, 4, 2), &["mode=b"], "+properties.mode:b"));
    assert!(room.interval().is_empty());
    let late: Vec<_> = room.pool.process(0, || true).iter().map(numbers).collect();
    assert_eq!(late, [[1, 0]]);
}

#[test]
fn who_takes_fewer_waits_for_more_until_the_last_interval() {
    let mut room = Room::new(RULES);
    for session in 0..3 {
        room.add(ticket(&[session], (2, 4, 1), &[], "*"));
    }
    assert!(room.interval().is_empty());
    room.add(ticket(&[3], (2, 4, 1), &[], "*"));
    assert_eq!(room.interval(), [[1, 2, 3, 0]]);
    for session in 0..3 {
        room.add(ticket(&[session], (2, 4, 1), &[], "*"));
    }
    assert!(room.interval().is_empty());
    assert_eq!(room.interval(), [[5, 6, 4]]);
}

#[test]
fn counts_have_to_lie_within_those_of_who_looks() {
    let mut room = Room::new(RULES);
    room.add(ticket(&[1], PAIR, &[], "*"));
    room.add(ticket(&[2], (3, 4, 1), &[], "*"));
    room.add(ticket(&[3], (2, 8, 1), &[], "*"));
    for _ in 0..3 {
        assert!(room.interval().is_empty() || room.pool.len() == 1);
    }
    // The widest found the narrowest in its last interval.
    assert_eq!(room.pool.len(), 1);
    assert!(room.pool.ticket(&uuid(1)).is_some());
}

#[test]
fn a_multiple_leaves_some_behind() {
    let mut room = Room::new(RULES);
    for session in 0..5 {
        room.add(ticket(&[session], (2, 8, 2), &[], "*"));
    }
    assert!(room.interval().is_empty());
    // The youngest is left.
    assert_eq!(room.interval(), [[1, 2, 3, 0]]);
}

#[test]
fn parties_are_matched_whole() {
    let mut room = Room::new(RULES);
    room.add(ticket(&[1, 2], (4, 4, 1), &[], "*"));
    room.add(ticket(&[3, 4, 5], (4, 4, 1), &[], "*"));
    assert!(room.interval().is_empty());
    room.add(ticket(&[6, 7], (4, 4, 1), &[], "*"));
    assert_eq!(room.interval(), [[0, 2]]);
    // 1 + 1 + 2 + 3: the first that fit leave room that nobody fills, another choice does not.
    let mut room = Room::new(RULES);
    room.add(ticket(&[1], (6, 6, 1), &[], "*"));
    room.add(ticket(&[2], (6, 6, 1), &[], "*"));
    room.add(ticket(&[3, 4, 5], (6, 6, 1), &[], "*"));
    room.add(ticket(&[6, 7], (6, 6, 1), &[], "*"));
    assert_eq!(room.interval(), [[2, 3, 0]]);
}

#[test]
fn nobody_meets_its_own_session_or_party() {
    let mut room = Room::new(Rules { max_tickets: 3, ..RULES });
    room.add(ticket(&[1], PAIR, &[], "*"));
    room.add(ticket(&[1], PAIR, &[], "*"));
    assert!(room.interval().is_empty());
    let mut room = Room::new(RULES);
    room.add(ticket(&[1], (3, 3, 1), &[], "*"));
    room.add(ticket(&[2], (3, 3, 1), &[], "*"));
    room.add(ticket(&[2], (3, 3, 1), &[], "*"));
    assert!(room.interval().is_empty());
    room.add(ticket(&[3], (3, 3, 1), &[], "*"));
    assert_eq!(room.interval(), [[0, 1, 3]]);
    // A party of other members is the same party.
    let mut room = Room::new(RULES);
    let mut party = ticket(&[1, 2], (4, 4, 1), &[], "*");
    party.owner = Owner::Party("party".into());
    let others = NewTicket { presences: vec![presence(3), presence(4)], ..party.clone() };
    room.add(party);
    room.add(others);
    assert!(room.interval().is_empty());
}

#[test]
fn the_best_match_comes_before_the_oldest() {
    let mut room = Room::new(RULES);
    room.add(ticket(&[1], PAIR, &["map=a"], "+properties.map:x"));
    room.add(ticket(&[2], PAIR, &["map=b"], "+properties.map:x"));
    room.add(ticket(&[3], PAIR, &["map=c", "level=5"], "+properties.map:x"));
    assert!(room.interval().is_empty());
    room.add(ticket(&[4], PAIR, &[], "properties.map:a properties.map:b^2 properties.level:>4"));
    assert_eq!(room.interval(), [[1, 3]]);
    // More parts than tiers are made of.
    let above: String = (0..9).map(|n| format!(" properties.level:>{n}")).collect();
    let query = format!("properties.map:a{above}");
    room.add(ticket(&[5], PAIR, &[], &query));
    assert_eq!(room.interval(), [[2, 4]]);
    // A pattern scores more where a number has several terms that fit.
    room.add(ticket(&[6], PAIR, &["map=7"], "+properties.map:x"));
    room.add(ticket(&[7], PAIR, &[], "+properties.map:*"));
    assert_eq!(room.interval(), [[5, 6]]);
}

#[test]
fn a_ticket_can_be_asked_for_by_what_it_is() {
    let id = uuid(0).to_string();
    for (query, found) in [
        (format!("+ticket:{id}"), true),
        (format!("+_id:{id}"), true),
        ("+ticket:x".to_owned(), false),
        ("+min_count:>=2 +max_count:<=2".to_owned(), true),
        ("+min_count:>2".to_owned(), false),
        ("+created_at:0".to_owned(), true),
        ("+created_at:>=1".to_owned(), false),
        ("-party_id:x".to_owned(), true),
        ("+party_id:x".to_owned(), false),
        ("-ticket:".to_owned() + &id, false),
        ("region:eu".to_owned(), false),
        ("+properties.at:<\"2021-01-01T00:00:00Z\"".to_owned(), true),
        ("+properties.both:>=5".to_owned(), true),
        ("+properties.both:text".to_owned(), false),
        ("+properties.level:5".to_owned(), true),
        ("+properties.digits:12x".to_owned(), true),
        ("+properties.digits:/1.x/".to_owned(), true),
        ("+properties.digits:12y~".to_owned(), true),
        ("properties.digits:99y~".to_owned(), false),
        ("+properties.none:*".to_owned(), false),
    ] {
        let mut room = Room::new(RULES);
        let properties = ["at=2020-01-01T00:00:00Z", "both=5", "level=5", "digits=12x"];
        let mut first = ticket(&[1], PAIR, &properties, "+nothing:x");
        first.string_properties.insert("both".into(), "text".into());
        room.add(first);
        room.add(ticket(&[2], PAIR, &[], &query));
        assert_eq!(!room.interval().is_empty(), found, "{query}");
    }
    // A party's own tickets are found by its id, by others.
    let mut room = Room::new(RULES);
    room.add(ticket(&[1, 2], (3, 3, 1), &[], "+nothing:x"));
    room.add(ticket(&[3], (3, 3, 1), &[], r"+party_id:party\ of\ [1,\ 2]"));
    assert_eq!(room.interval(), [[0, 1]]);
}

#[test]
fn tickets_are_refused_as_the_reference_does() {
    let mut pool = Pool::new(RULES);
    let mut add = |id, new| pool.add(uuid(id), 0, new);
    assert_eq!(add(0, ticket(&[1], PAIR, &[], "+")), Err(NotAdded::Query));
    assert_eq!(add(0, ticket(&[1, 1], PAIR, &[], "*")), Err(NotAdded::DuplicateSession));
    for id in 0..3 {
        assert_eq!(add(id, ticket(&[1, 2], (3, 3, 1), &[], "*")), Ok(()));
    }
    // For the party, and for each who is in it.
    assert_eq!(add(3, ticket(&[1, 2], (3, 3, 1), &[], "*")), Err(NotAdded::TooManyTickets));
    assert_eq!(add(3, ticket(&[2], PAIR, &[], "*")), Err(NotAdded::TooManyTickets));
    assert_eq!(add(3, ticket(&[3], PAIR, &[], "*")), Ok(()));
}

#[test]
fn tickets_are_taken_back_by_who_made_them_and_with_their_sessions() {
    let mut room = Room::new(RULES);
    let (own, party) =
        (room.add(ticket(&[1], PAIR, &[], "*")), ticket(&[1, 2], (3, 3, 1), &[], "*"));
    let party_owner = party.owner.clone();
    let of_party = room.add(party.clone());
    let owner = Owner::Session(uuid(1));
    assert!(!room.pool.remove(&Owner::Session(uuid(2)), &uuid(own)));
    assert!(!room.pool.remove(&owner, &uuid(of_party)));
    assert!(!room.pool.remove(&party_owner, &uuid(own)));
    assert!(room.pool.remove(&owner, &uuid(own)) && !room.pool.remove(&owner, &uuid(own)));
    assert!(room.pool.remove(&party_owner, &uuid(of_party)));
    room.add(ticket(&[1], PAIR, &[], "*"));
    room.add(party.clone());
    assert_eq!(room.pool.remove_session(&uuid(2)), 1);
    assert_eq!(room.pool.remove_session(&uuid(1)), 1);
    room.add(party.clone());
    room.add(party);
    assert_eq!(room.pool.remove_party(party_owner.party_id()), 2);
    assert_eq!(room.pool.remove_party(""), 0);
    assert!(room.pool.is_empty() && room.pool.active() == 0);
}

#[test]
fn statistics_tell_of_the_oldest_and_of_the_last_who_were_matched() {
    let mut room = Room::new(RULES);
    assert_eq!(room.pool.oldest_ns(), None);
    for session in 0..13 {
        room.add(ticket(&[session], PAIR, &[], "*"));
    }
    assert_eq!(room.pool.oldest_ns(), Some(0));
    assert_eq!(room.interval().len(), 6);
    assert_eq!(room.pool.oldest_ns(), Some(12));
    let completions: Vec<i64> = room.pool.completions().map(|it| it.created_at_ns).collect();
    assert_eq!(completions, [3, 2, 5, 4, 7, 6, 9, 8, 11, 10]);
    assert!(room.pool.completions().all(|it| it.completed_at_ns == 1000));
}

#[test]
fn a_ticket_is_told_what_it_lacks() {
    let rules = Rules { mutual: true, ..RULES };
    let mut room = Room::new(rules);
    let query = "+properties.region:eu +properties.rank:>=5 -properties.mode:x properties.y:z";
    let waiting = room.add(ticket(&[1, 2], (4, 6, 1), &[], query));
    let lacks = |room: &Room| room.pool.explain(&uuid(waiting)).unwrap().lacks;
    assert_eq!(lacks(&room), Lack::Others);
    room.add(ticket(&[3], (2, 8, 1), &["region=us", "rank=9"], "+a:b"));
    assert_eq!(lacks(&room), Lack::Clause("+properties.region:eu".into()));
    room.add(ticket(&[4], (2, 8, 1), &["region=eu", "rank=1"], "+a:b"));
    assert_eq!(lacks(&room), Lack::Query);
    room.add(ticket(&[5], (2, 8, 1), &["region=eu", "rank=6"], "+a:b"));
    assert_eq!(lacks(&room), Lack::Counts);
    room.add(ticket(&[1], (4, 6, 1), &["region=eu", "rank=6"], "+a:b"));
    assert_eq!(lacks(&room), Lack::Strangers);
    room.add(ticket(&[6], (4, 6, 1), &["region=eu", "rank=6"], "+a:b"));
    assert_eq!(lacks(&room), Lack::Mutual);
    room.add(ticket(&[7], (4, 6, 1), &["region=eu", "rank=6"], "*"));
    assert_eq!(lacks(&room), Lack::Players);
    room.add(ticket(&[8], (4, 6, 1), &["region=eu", "rank=7"], "*"));
    assert_eq!(lacks(&room), Lack::Time);
    let explanation = room.pool.explain(&uuid(waiting)).unwrap();
    let clause = |text: &str, required, satisfied| ClauseCount {
        text: text.to_owned(),
        required,
        satisfied,
    };
    assert_eq!(
        explanation,
        Explanation {
            ticket: uuid(waiting),
            query: query.to_owned(),
            active: true,
            intervals: 0,
            needs: (2, 4),
            others: 7,
            beside: 1,
            fit_counts: 4,
            match_query: 5,
            clauses: vec![
                clause("+properties.region:eu", true, 6),
                clause("+properties.rank:>=5", true, 6),
                clause("-properties.mode:x", true, 7),
                clause("properties.y:z", false, 0),
            ],
            fit: 3,
            fit_mutually: 2,
            players: 2,
            found_by: 2,
            taken: 0,
            lacks: Lack::Time,
        }
    );
    assert_eq!(room.pool.explain(&uuid(99)), None);
}

#[test]
fn those_who_would_have_fitted_and_were_taken_are_told() {
    let mut room = Room::new(RULES);
    for session in 0..3 {
        room.add(ticket(&[session], PAIR, &[], "*"));
    }
    assert_eq!(room.interval(), [[1, 0]]);
    assert_eq!(room.pool.explain(&uuid(2)).unwrap().taken, 2);
    room.interval();
    assert_eq!(room.pool.explain(&uuid(2)).unwrap().taken, 0);
}

#[test]
fn slots_are_numbered_anew_and_the_order_stays() {
    let mut room = Room::new(Rules { max_intervals: 100, ..RULES });
    let kept = room.add(ticket(&[1], (3, 4, 1), &["a=b"], "+properties.a:b"));
    for round in 0..2000 {
        let session = 10 + round;
        room.add(ticket(&[session], PAIR, &[], "*"));
        room.pool.remove_session(&uuid(session));
    }
    let younger = room.add(ticket(&[2], (3, 4, 1), &["a=b"], "+properties.a:b"));
    assert!(room.interval().is_empty());
    assert_eq!(room.pool.active(), 2);
    let others = [3, 4].map(|it| room.add(ticket(&[it], (3, 4, 1), &["a=b"], "+properties.a:b")));
    assert_eq!(room.interval(), [[younger, others[0], others[1], kept]]);
}

#[test]
fn a_thousand_pairs_are_matched_in_one_interval() {
    let mut room = Room::new(RULES);
    for number in 0..1000 {
        let region = if number % 4 < 2 { "eu" } else { "us" };
        let query = format!("+properties.region:{region} +properties.skill:>=50");
        let (region, skill) = (format!("region={region}"), format!("skill={}", 100 + number % 50));
        room.add(ticket(&[number], PAIR, &[&region, &skill], &query));
    }
    let groups = room.interval();
    assert_eq!((groups.len(), room.pool.len()), (500, 0));
    assert_eq!(groups[..2], [[1, 0], [3, 2]]);
}

/// The groups that a module is offered, by the numbers of their tickets.
fn offers(room: &mut Room) -> Vec<Vec<u128>> {
    room.pool.offers(|| false).iter().map(numbers).collect()
}

#[test]
fn a_module_is_offered_every_group_and_tickets_wait_on() {
    let mut room = Room::new(RULES);
    for session in 0..3 {
        room.add(ticket(&[session], PAIR, &[], "*"));
    }
    room.add(ticket(&[0], PAIR, &["a=b"], "+properties.a:c"));
    room.add(ticket(&[5, 6], (2, 3, 1), &["a=b"], "*"));
    let pairs = [[1, 0], [2, 0], [0, 1], [2, 1], [3, 1], [0, 2], [1, 2], [3, 2]];
    assert_eq!(offers(&mut room), pairs);
    // Those of an exact number have looked for the last time.
    assert_eq!((room.pool.len(), room.pool.active()), (5, 1));
    assert!(offers(&mut room).is_empty());
    assert_eq!(room.pool.active(), 0);
}

#[test]
fn who_still_waits_is_offered_in_groups_of_the_largest_size_only() {
    let mut room = Room::new(RULES);
    for session in 0..3 {
        room.add(ticket(&[session], (2, 3, 1), &[], "*"));
    }
    assert_eq!(offers(&mut room), [[1, 2, 0], [0, 2, 1], [0, 1, 2]]);
    let last = offers(&mut room);
    assert_eq!(last.len(), 9);
    assert!(last.contains(&vec![2, 1]) && last.contains(&vec![0, 1, 2]));
}

#[test]
fn what_is_offered_is_bounded() {
    let mut room = Room::new(RULES);
    for session in 0..200 {
        room.add(ticket(&[session], (2, 20, 1), &[], "*"));
    }
    room.pool.offers(|| false);
    let offered = offers(&mut room);
    assert_eq!(offered.len(), MAX_OFFERS);
    let whose = |looks: u128| offered.iter().filter(|group| group.last() == Some(&looks)).count();
    assert_eq!((whose(0), whose(199)), (MAX_OFFERS / 200, MAX_OFFERS / 200));
}

#[test]
fn a_module_may_choose_only_tickets_that_wait() {
    let mut room = Room::new(RULES);
    for session in 0..5 {
        room.add(ticket(&[session], PAIR, &[], "*"));
    }
    assert_eq!(room.pool.all().len(), 5);
    assert_eq!(room.pool.active(), 5);
    let chosen = [vec![3, 0], vec![0, 1], vec![], vec![99], vec![1, 1], vec![4]];
    let chosen = chosen.map(|group: Vec<u128>| group.into_iter().map(uuid).collect());
    let formed: Vec<_> = room.pool.form(&chosen, 7).iter().map(numbers).collect();
    assert_eq!(formed, [vec![3, 0], vec![4]]);
    assert_eq!(room.pool.len(), 2);
    assert_eq!(room.pool.completions().count(), 3);
}
