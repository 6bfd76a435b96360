//! What a client of the soak does that others do not expect: much at once, and the wrong way round.

use std::time::Duration;

use guildhall_proto::realtime::{
    ChannelJoin, MatchJoin, PartyJoin, StatusUpdate, envelope::Message, match_join,
};
use rand::{Rng, seq::IteratorRandom as _};
use serde_json::json;
use tokio::time::{sleep, timeout};

use super::{
    actions::{Done, NO_MATCH, NO_PARTY, pick},
    client::{Client, Line},
    view::{Kind, Place},
    wire::PATIENCE,
    world::sign_in,
};

impl Client {
    /// Enters and leaves the same place again and again, without waiting for answers.
    pub async fn burst(&mut self, line: &mut Line) -> Done {
        let place = match self.rng.random_range(0..4) {
            0 => self.world.any(Kind::Match, &mut self.rng).map(|id| Place::new(Kind::Match, &id)),
            1 => self.world.any(Kind::Party, &mut self.rng).map(|id| Place::new(Kind::Party, &id)),
            2 => Some(Place::new(Kind::Channel, "2...room-0")),
            _ => pick(&line.view.places.keys().cloned().collect::<Vec<_>>(), &mut self.rng),
        };
        let Some(place) = place else { return Ok(()) };
        let room = place.id.strip_prefix("2...").map(str::to_owned);
        if line.view.is_uncertain(&place) || (place.kind == Kind::Channel && room.is_none()) {
            return Ok(());
        }
        let target = room.unwrap_or_default();
        let enter = match place.kind {
            Kind::Channel => {
                Message::ChannelJoin(ChannelJoin { target, r#type: 1, ..ChannelJoin::default() })
            }
            Kind::Match => Message::MatchJoin(MatchJoin {
                id: Some(match_join::Id::MatchId(place.id.clone())),
                metadata: [("password".to_owned(), "sesame".to_owned())].into(),
            }),
            Kind::Party => Message::PartyJoin(PartyJoin { party_id: place.id.clone() }),
        };
        let mut enters = !line.view.places.contains_key(&place);
        line.view.enters = Some(false);
        let mut sent = Vec::new();
        for _ in 0..self.rng.random_range(2..=6) {
            let message = if enters { enter.clone() } else { place.leaving() };
            sent.push((enters, line.mark_and_send(message).await?));
            enters = !enters;
        }
        for (enters, cid) in sent {
            let answer = line.answer(&cid).await?;
            self.world.count(if enters { "enter in a burst" } else { "leave in a burst" });
            let refusals = [NO_MATCH, NO_PARTY].concat();
            let refused = |sentence: &str| refusals.iter().any(|it| sentence.ends_with(it));
            match answer {
                Ok(_) if enters && place.kind == Kind::Party => {
                    line.view.enters_parties.insert(place.clone());
                }
                Ok(_) if enters => {}
                Ok(_) => line.view.left(&place),
                Err(error) if enters && refused(&error.message) => {}
                Err(error) => line.finding(&format!("{place} in a burst: {error:?}"), &place.id),
            }
        }
        line.view.enters = None;
        Ok(())
    }

    /// Has the server end the session of somebody who is in the same place.
    pub async fn kill(&mut self, line: &mut Line) -> Done {
        let places = line.view.places.values();
        let others = places.flat_map(|stay| stay.members.keys());
        let others = others.filter(|session| **session != line.view.session);
        let Some(other) = others.choose(&mut self.rng).cloned() else { return Ok(()) };
        self.world.doom(&other);
        line.rpc("kill", &other).await?;
        Ok(())
    }

    /// Logs out, which ends the socket.
    pub async fn log_out(&mut self, line: &mut Line) -> Done {
        self.world.doom(&line.view.session);
        let tokens = json!({ "token": self.user.token, "refresh_token": "" });
        self.call_rest("POST", "/v2/session/logout", Some(tokens), line).await;
        self.sign_in_again().await;
        self.is_ended(line).await
    }

    async fn sign_in_again(&mut self) {
        self.user = sign_in(self.world.plan.port, &self.user.name).await;
        self.signed_in = tokio::time::Instant::now();
    }

    /// The server ends the connection, as it was asked to.
    async fn is_ended(&mut self, line: &mut Line) -> Done {
        loop {
            match timeout(PATIENCE, line.next()).await {
                Ok(next) => drop(next?),
                Err(_) => {
                    line.finding("the connection stays open", "");
                    return Ok(());
                }
            }
        }
    }

    /// Deletes the account while it enters places, and comes back with another of the same name.
    pub async fn delete_account(&mut self, line: &mut Line) -> Done {
        self.world.doom(&line.view.session);
        line.view.enters = Some(false);
        for number in 0..self.rng.random_range(0..4) {
            let target = format!("room-{number}");
            let join = ChannelJoin { target, r#type: 1, ..ChannelJoin::default() };
            line.mark_and_send(Message::ChannelJoin(join)).await?;
        }
        self.call_rest("DELETE", "/v2/account", None, line).await;
        self.groups.clear();
        self.sign_in_again().await;
        self.world.replace(&self.user);
        self.world.count("delete an account");
        self.is_ended(line).await
    }

    /// Changes its status again and again, without waiting for answers.
    pub async fn flicker(&mut self, line: &mut Line) -> Done {
        let mut sent = Vec::new();
        for number in 0..self.rng.random_range(2..=6) {
            let status = self.rng.random_bool(0.7).then(|| format!("flicker {number}"));
            let update = Message::StatusUpdate(StatusUpdate { status: status.clone() });
            sent.push((status, line.mark_and_send(update).await?));
        }
        for (status, cid) in sent {
            match line.answer(&cid).await? {
                Ok(_) => line.view.status = status,
                Err(error) => line.finding(&format!("a status was refused: {error:?}"), ""),
            }
        }
        self.world.count("flicker");
        Ok(())
    }

    /// Enters the channel of a group and leaves the group meanwhile: whatever came first, it is not
    /// in the channel then.
    pub async fn enter_and_leave_group(&mut self, line: &mut Line) -> Done {
        let Some(group) = pick(&self.world.groups, &mut self.rng) else { return Ok(()) };
        let place = Place::new(Kind::Channel, &format!("3.{group}.."));
        if line.view.places.contains_key(&place) || !self.join_group(line, &group).await {
            return Ok(());
        }
        let target = group.clone();
        let join = ChannelJoin { target, r#type: 3, ..ChannelJoin::default() };
        line.view.enters = Some(false);
        let cid = line.mark_and_send(Message::ChannelJoin(join)).await?;
        sleep(Duration::from_micros(self.rng.random_range(0..4000))).await;
        self.groups.retain(|own| *own != group);
        self.call_rest("POST", &format!("/v2/group/{group}/leave"), None, line).await;
        match line.answer(&cid).await? {
            Ok(_) => self.world.count("enter a channel before leaving its group"),
            Err(error) => self.world.count(format!("enter a channel too late: {}", error.message)),
        }
        line.view.out_of(&place);
        line.drain().await?;
        line.view.enters = None;
        line.view.certain(&place);
        Ok(())
    }
}
