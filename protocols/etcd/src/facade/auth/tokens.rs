use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use parking_lot::Mutex;
use switchboard_model::Revision;

use crate::lens::accounts::Accounts;
use crate::refusal::{self, Refusal};

/// Those who have signed in. Kept in memory: who comes after a restart signs in again, as with etcd.
#[derive(Debug)]
pub(crate) struct Tokens {
    /// Without being used a token is good for this long.
    ttl: Duration,
    given: Mutex<HashMap<Arc<str>, Token>>,
}

#[derive(Debug)]
struct Token {
    user: Arc<str>,
    /// The user that signed in, and the password by which it did. Another of either, and the token is worth nothing.
    added: Revision,
    password: Bytes,
    ends: Instant,
}

impl Tokens {
    /// More are not given: each costs the look at a password, so that only a few get this far within a token's time.
    const MAX: usize = 100_000;

    pub(crate) fn new(ttl: Duration) -> Tokens {
        Tokens { ttl, given: Mutex::default() }
    }

    /// `index` is told to the client, which expects that a token has it and does nothing with it.
    pub(crate) fn give(
        &self,
        user: &str,
        added: Revision,
        password: Bytes,
        index: u64,
    ) -> Result<Arc<str>, Refusal> {
        let token: Arc<str> = format!("{}.{index}", random_letters()?).into();
        let now = Instant::now();
        let mut given = self.given.lock();
        if given.len() >= Tokens::MAX {
            given.retain(|_, token| token.ends > now);
        }
        if given.len() >= Tokens::MAX {
            return Err(refusal::TOO_MANY_REQUESTS);
        }
        given.insert(token.clone(), Token { user: user.into(), added, password, ends: now + self.ttl });
        Ok(token)
    }

    /// Whose it is; using it makes it last. None: nobody's, or not any more.
    pub(crate) fn user(&self, token: &str, accounts: Accounts<'_>) -> Option<Arc<str>> {
        let now = Instant::now();
        let mut given = self.given.lock();
        let found = given.get_mut(token)?;
        let user = accounts.kept_user(&found.user);
        let same = user.is_some_and(|(user, added)| added == found.added && user.password == found.password);
        if !same || found.ends <= now {
            given.remove(token);
            return None;
        }
        found.ends = now + self.ttl;
        Some(found.user.clone())
    }

    pub(crate) fn forget_all(&self) {
        self.given.lock().clear();
    }
}

/// Sixteen letters that nobody can guess.
fn random_letters() -> Result<String, Refusal> {
    const LETTERS: &[u8; 52] = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
    let mut letters = String::with_capacity(16);
    while letters.len() < 16 {
        let mut bytes = [0; 32];
        getrandom::fill(&mut bytes).map_err(|error| {
            tracing::error!(%error, "the system gives no random bytes; nobody can sign in");
            refusal::UNHEALTHY
        })?;
        // Those from 208 on would make some letters likelier than others.
        let fair = bytes.into_iter().filter(|byte| *byte < 208);
        let picked = fair.filter_map(|byte| LETTERS.get(usize::from(byte % 52)));
        letters.extend(picked.take(16 - letters.len()).map(|letter| char::from(*letter)));
    }
    Ok(letters)
}
