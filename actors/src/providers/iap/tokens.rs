//! Access tokens of stores, kept until shortly before they end.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use sha2::{Digest as _, Sha256};

/// How long before its end a token is no longer used.
const GRACE: Duration = Duration::from_secs(300);

/// The most tokens that are kept: one for each of the credentials that modules may bring.
const MAX: usize = 64;

/// The tokens by their credentials.
#[derive(Default)]
pub(super) struct Tokens(Mutex<HashMap<[u8; 32], (String, Instant)>>);

impl std::fmt::Debug for Tokens {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tokens").finish_non_exhaustive()
    }
}

/// What stands for credentials: nobody can read them from it.
pub(super) fn name(credentials: &[&str]) -> [u8; 32] {
    let mut digest = Sha256::new();
    for text in credentials {
        digest.update(text.len().to_be_bytes());
        digest.update(text);
    }
    digest.finalize().into()
}

impl Tokens {
    pub(super) fn get(&self, name: &[u8; 32]) -> Option<String> {
        let tokens = self.0.lock();
        let (token, until) = tokens.get(name)?;
        (Instant::now() < *until).then(|| token.clone())
    }

    pub(super) fn keep(&self, name: [u8; 32], token: &str, expires_in_s: u64) {
        let kept = Duration::from_secs(expires_in_s.min(86_400)).saturating_sub(GRACE);
        let mut tokens = self.0.lock();
        if tokens.len() >= MAX {
            tokens.clear();
        }
        tokens.insert(name, (token.to_owned(), Instant::now() + kept));
    }

    pub(super) fn forget(&self, name: &[u8; 32]) {
        self.0.lock().remove(name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_kept_until_shortly_before_its_end() {
        let tokens = Tokens::default();
        let (ann, bob) = (name(&["ann", "key"]), name(&["annk", "ey"]));
        assert_ne!(ann, bob);
        tokens.keep(ann, "good", 3600);
        tokens.keep(bob, "short", 300);
        assert_eq!(tokens.get(&ann).as_deref(), Some("good"));
        assert_eq!(tokens.get(&bob), None);
        tokens.forget(&ann);
        assert_eq!(tokens.get(&ann), None);
    }

    #[test]
    fn tokens_are_bounded() {
        let tokens = Tokens::default();
        for account in 0..200 {
            tokens.keep(name(&[&account.to_string()]), "x", 3600);
        }
        assert!(tokens.0.lock().len() <= MAX);
    }
}
