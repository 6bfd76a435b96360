//! The threads that hash and check passwords.
//!
//! Bcrypt at the reference's cost takes a good part of a second of a core. It runs on a few threads
//! of its own behind a bounded queue, so that sign-ins never delay other requests; a full queue
//! refuses.

use std::{
    fmt, io,
    sync::{
        Arc,
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    thread,
};

use bcrypt::{BcryptError, Version};
use guildhall_core::{Code, Fault, Result, Status, config};
use parking_lot::Mutex;
use tokio::sync::oneshot;

/// The cost of new hashes. Source: Nakama, `server/core_authenticate.go`.
pub const COST: u32 = 13;

/// The longest password that bcrypt takes in whole, in bytes.
pub const MAX_BYTES: usize = 72;

const BUSY: Status =
    Status::new(Code::ResourceExhausted, "Too many sign-ins at once, try again later.");

/// The most threads, whatever the configuration says.
const MAX_THREADS: usize = 256;

type Job = Box<dyn FnOnce() + Send>;

/// A handle on the threads; they end when the last one is dropped.
#[derive(Clone)]
pub struct Passwords {
    queue: SyncSender<Job>,
    cost: u32,
}

impl fmt::Debug for Passwords {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Passwords").field("cost", &self.cost).finish_non_exhaustive()
    }
}

impl Passwords {
    /// Starts the threads.
    ///
    /// # Errors
    /// The operating system's, where it gives no thread.
    pub fn start(settings: &config::Password) -> io::Result<Self> {
        let threads = match settings.threads {
            0 => thread::available_parallelism().map_or(1, |cores| cores.get() / 2),
            threads => threads,
        };
        Self::with(threads.clamp(1, MAX_THREADS), settings.queue_size, COST)
    }

    fn with(threads: usize, queue: usize, cost: u32) -> io::Result<Self> {
        let (sender, receiver) = sync_channel::<Job>(queue);
        let receiver = Arc::new(Mutex::new(receiver));
        for number in 0..threads {
            let receiver = Arc::clone(&receiver);
            thread::Builder::new()
                .name(format!("password-{number}"))
                .spawn(move || work(&receiver))?;
        }
        Ok(Self { queue: sender, cost })
    }

    /// The bcrypt hash of `password`, in the form that the reference stores.
    ///
    /// # Errors
    /// `ResourceExhausted` while the queue is full; a fault for more than [`MAX_BYTES`] bytes.
    pub async fn hash(&self, password: impl AsRef<[u8]>) -> Result<String> {
        let cost = self.cost;
        let password = password.as_ref().to_vec();
        self.run(move || {
            if password.len() > MAX_BYTES {
                return Err(BcryptError::Truncation(password.len()));
            }
            Ok(bcrypt::hash_with_result(password, cost)?.format_for_version(Version::TwoA))
        })
        .await
    }

    /// Whether `password` has this hash. What is no bcrypt hash fits no password.
    ///
    /// # Errors
    /// `ResourceExhausted` while the queue is full.
    pub async fn check(&self, password: impl AsRef<[u8]>, hash: Vec<u8>) -> Result<bool> {
        let password = password.as_ref().to_vec();
        self.run(move || {
            Ok(std::str::from_utf8(&hash)
                .is_ok_and(|hash| bcrypt::verify(password, hash).unwrap_or(false)))
        })
        .await
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, BcryptError> + Send + 'static,
    ) -> Result<T> {
        let (reply, answer) = oneshot::channel();
        let job = move || {
            // Nobody waits any more: the client has left.
            if !reply.is_closed() {
                let _ = reply.send(work());
            }
        };
        self.queue.try_send(Box::new(job)).map_err(|_| BUSY)?;
        match answer.await {
            Ok(outcome) => {
                outcome.map_err(|error| Fault::new("Error hashing password.", error).into())
            }
            Err(gone) => Err(Fault::new("Error hashing password.", gone).into()),
        }
    }
}

/// Runs jobs until the last handle is gone.
fn work(queue: &Mutex<Receiver<Job>>) {
    loop {
        // The lock is held while waiting, not while working.
        let job = queue.lock().recv();
        match job {
            Ok(job) => job(),
            Err(_) => return,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::sync::mpsc;

    use futures_util::FutureExt;

    use super::*;

    /// The least cost that bcrypt has, to save time.
    const LOW: u32 = 4;

    #[tokio::test]
    async fn a_password_fits_its_own_hash_only() {
        let passwords = Passwords::with(1, 8, LOW).unwrap();
        let hash = passwords.hash("a long password").await.unwrap();
        assert!(hash.starts_with("$2a$04$"), "{hash}");
        assert!(passwords.check("a long password", hash.clone().into_bytes()).await.unwrap());
        assert!(!passwords.check("another password", hash.into_bytes()).await.unwrap());
        assert!(!passwords.check("a long password", Vec::new()).await.unwrap());
        assert!(!passwords.check("a long password", vec![0xff]).await.unwrap());
    }

    #[tokio::test]
    async fn a_hash_of_the_reference_is_understood() {
        // Made by golang.org/x/crypto/bcrypt.
        let hash = b"$2a$10$XajjQvNhvvRt5GSeFk1xFeyqRrsxkhBkUiQeg0dt.wU1qD4aFDcga".to_vec();
        let passwords = Passwords::with(1, 8, LOW).unwrap();
        assert!(passwords.check("allmine", hash).await.unwrap());
    }

    #[tokio::test]
    async fn seventy_two_bytes_are_the_most() {
        let passwords = Passwords::with(1, 8, LOW).unwrap();
        assert!(passwords.hash(&"x".repeat(72)).await.is_ok());
        assert_eq!(passwords.hash(&"x".repeat(73)).await.unwrap_err().code(), Code::Internal);
    }

    #[tokio::test]
    async fn a_full_queue_refuses_and_recovers() {
        let passwords = Passwords::with(1, 1, LOW).unwrap();
        let (started, wait_started) = mpsc::channel();
        let (release, wait_release) = mpsc::channel::<()>();
        passwords
            .queue
            .try_send(Box::new(move || {
                started.send(()).unwrap();
                wait_release.recv().unwrap();
            }))
            .unwrap();
        wait_started.recv().unwrap();

        let mut waiting = Box::pin(passwords.hash("one"));
        assert!(waiting.as_mut().now_or_never().is_none());
        assert_eq!(passwords.hash("two").await.unwrap_err().code(), Code::ResourceExhausted);
        release.send(()).unwrap();
        assert!(waiting.await.is_ok());
        assert!(passwords.hash("three").await.is_ok());
    }
}
