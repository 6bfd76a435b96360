//! Runs the child: starts it, starts it again when it dies, stops it.
//!
//! One thread does all of it and lives as long as the child may. That matters: the kernel ends
//! the child (`PR_SET_PDEATHSIG`) when the *thread* that made it ends, which is how the child
//! follows a server that was killed.

#![allow(unsafe_code)]

use std::{
    collections::VecDeque,
    ffi::OsString,
    fs,
    io::{BufRead, BufReader},
    os::unix::{ffi::OsStrExt, process::CommandExt},
    path::{Path, PathBuf},
    process::{Child, ChildStderr, Stdio},
    sync::{
        Arc,
        mpsc::{Receiver, RecvTimeoutError, Sender, channel},
    },
    thread,
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};

use super::{PostgresError, cluster::SOCKET_NUMBER, install::Install};

/// How long a start may take, which may have to replay what a crash left.
const START_LIMIT: Duration = Duration::from_secs(60);

/// How long the end of an earlier child, or a fast shutdown, may take until it is forced.
const STOP_LIMIT: Duration = Duration::from_secs(20);

/// The pause between two looks at a state that nothing announces.
const LOOK: Duration = Duration::from_millis(2);

/// The pause before a child that died is started again, and what it grows to while it keeps dying.
const RESTART_PAUSE: Duration = Duration::from_millis(50);
const RESTART_PAUSE_MAX: Duration = Duration::from_secs(5);

/// How many of the child's last lines are kept to explain a failed start.
const KEPT_LINES: usize = 8;

/// What to run.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) install: Install,
    pub(super) arguments: Vec<OsString>,
    pub(super) folder: PathBuf,
    pub(super) sockets: PathBuf,
}

/// The handle to the thread that runs the child. Dropping it asks the child to stop.
#[derive(Debug)]
pub(super) struct Supervisor {
    state: Arc<Mutex<State>>,
    /// Gives nothing; it is disconnected when the thread has ended.
    ended: Receiver<()>,
}

#[derive(Debug, Default)]
struct State {
    /// The running child, as long as it is not waited for, so that the number is still its own.
    pid: Option<Pid>,
    stopping: bool,
}

impl State {
    fn signal(&self, signal: Signal) {
        if let Some(pid) = self.pid {
            // It may have ended by itself, which is as good.
            let _ = kill_process(pid, signal);
        }
    }
}

impl Supervisor {
    /// Starts the child and returns when it answers.
    pub(super) fn start(plan: Plan) -> Result<Self, PostgresError> {
        let state = Arc::new(Mutex::new(State::default()));
        let (started, on_start) = channel();
        let (end, ended) = channel();
        let theirs = state.clone();
        thread::Builder::new()
            .name("postgres".to_owned())
            .spawn(move || {
                supervise(&plan, &theirs, &started);
                drop(end);
            })
            .map_err(|error| PostgresError::NotStarted(error.to_string()))?;
        match on_start.recv() {
            Ok(Ok(())) => Ok(Self { state, ended }),
            Ok(Err(error)) => Err(error),
            Err(_) => Err(PostgresError::NotStarted("its supervisor ended".to_owned())),
        }
    }

    pub(super) fn pid(&self) -> Option<u32> {
        self.state.lock().pid.map(|pid| pid.as_raw_nonzero().get().unsigned_abs())
    }

    /// Stops the child by a fast shutdown and waits for it; one that hangs is made to crash,
    /// which loses nothing that was acknowledged.
    pub(super) fn stop(&self) {
        self.request_stop();
        for signal in [Signal::QUIT, Signal::KILL] {
            if self.ended.recv_timeout(STOP_LIMIT) != Err(RecvTimeoutError::Timeout) {
                return;
            }
            tracing::warn!(?signal, "embedded database does not stop, forcing it");
            self.state.lock().signal(signal);
        }
        let _ = self.ended.recv_timeout(STOP_LIMIT);
    }

    fn request_stop(&self) {
        let mut state = self.state.lock();
        state.stopping = true;
        state.signal(Signal::INT);
    }
}

impl Drop for Supervisor {
    fn drop(&mut self) {
        self.request_stop();
    }
}

/// The life of the thread. The first start is answered through `started`; later ones are repeated
/// until they succeed.
fn supervise(plan: &Plan, state: &Mutex<State>, started: &Sender<Result<(), PostgresError>>) {
    let mut first = true;
    let mut pause = RESTART_PAUSE;
    loop {
        let began = Instant::now();
        match launch(plan, state) {
            Ok(Some(child)) => {
                if first {
                    // Nobody waits any more: then stopping was asked for, too.
                    let _ = started.send(Ok(()));
                    first = false;
                } else {
                    tracing::info!("embedded database is back");
                }
                let status = reap(child, state);
                if state.lock().stopping {
                    return;
                }
                tracing::error!(status, "embedded database ended unexpectedly, starting it again");
                if began.elapsed() > RESTART_PAUSE_MAX {
                    pause = RESTART_PAUSE;
                }
            }
            Ok(None) => return,
            Err(error) if first => {
                let _ = started.send(Err(error));
                return;
            }
            Err(error) => {
                tracing::error!(%error, "embedded database cannot be started again yet");
            }
        }
        thread::sleep(pause);
        pause = (pause * 2).min(RESTART_PAUSE_MAX);
    }
}

/// Starts the child and waits until it answers. `None` where stopping was asked for meanwhile.
fn launch(plan: &Plan, state: &Mutex<State>) -> Result<Option<Child>, PostgresError> {
    clear_remains(plan)?;
    let mut child = {
        let mut state = state.lock();
        if state.stopping {
            return Ok(None);
        }
        let child = spawn(plan)?;
        state.pid = Pid::from_raw(child.id().cast_signed());
        child
    };
    let last_lines = Arc::new(Mutex::new(VecDeque::new()));
    if let Some(stderr) = child.stderr.take() {
        let kept = last_lines.clone();
        // The thread ends with the pipe. Without it the child would block on a full one.
        thread::Builder::new()
            .name("postgres-log".to_owned())
            .spawn(move || forward_log(stderr, &kept))
            .map_err(|error| PostgresError::NotStarted(error.to_string()))?;
    }
    let deadline = Instant::now() + START_LIMIT;
    while !is_ready(plan, child.id()) {
        if has_ended(&child) {
            let status = reap(child, state);
            let lines = last_lines.lock().iter().cloned().collect::<Vec<_>>().join("; ");
            if state.lock().stopping {
                return Ok(None);
            }
            return Err(PostgresError::NotStarted(format!("{status}: {lines}")));
        }
        if Instant::now() > deadline {
            state.lock().signal(Signal::QUIT);
            reap(child, state);
            let limit = START_LIMIT.as_secs();
            return Err(PostgresError::NotStarted(format!("not ready after {limit} s")));
        }
        thread::sleep(LOOK);
    }
    Ok(Some(child))
}

fn spawn(plan: &Plan) -> Result<Child, PostgresError> {
    let mut command = plan.install.command("postgres");
    command.args(&plan.arguments).stdout(Stdio::null()).stderr(Stdio::piped());
    // A Ctrl-C at the terminal is for us: we end the child after what still uses it.
    command.process_group(0);
    #[cfg(target_os = "linux")]
    {
        let us = rustix::process::getpid();
        // SAFETY: the closure runs in the child between fork and exec, where only calls that are
        // safe after a fork in a threaded process are allowed. It makes two plain system calls
        // and builds an error without allocating.
        unsafe {
            command.pre_exec(move || {
                // A fast shutdown: the data is closed cleanly. It stands here, since the kernel
                // forgets it at the change of user, which comes before.
                rustix::process::set_parent_process_death_signal(Some(Signal::INT))?;
                // Where we died before that line, no signal would ever come.
                if rustix::process::getppid() != Some(us) {
                    return Err(std::io::Error::from_raw_os_error(
                        rustix::io::Errno::SRCH.raw_os_error(),
                    ));
                }
                Ok(())
            });
        }
    }
    command.spawn().map_err(PostgresError::io(&plan.install.bin.join("postgres")))
}

/// Whether the child answers. Its file says so in line 8, but may be that of an earlier child,
/// which line 1 tells.
fn is_ready(plan: &Plan, pid: u32) -> bool {
    let Ok(text) = fs::read_to_string(plan.folder.join("postmaster.pid")) else { return false };
    let mut lines = text.lines();
    let is_ours = lines.next().is_some_and(|line| line.trim() == pid.to_string());
    is_ours && lines.nth(6).is_some_and(|line| line.trim() == "ready")
}

fn has_ended(child: &Child) -> bool {
    let Some(pid) = Pid::from_raw(child.id().cast_signed()) else { return true };
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT | WaitIdOptions::NOHANG;
    !matches!(waitid(WaitId::Pid(pid), options), Ok(None))
}

/// Waits for the child's end and says what it was.
fn reap(mut child: Child, state: &Mutex<State>) -> String {
    if let Some(pid) = Pid::from_raw(child.id().cast_signed()) {
        // Without taking its number away yet: `State::signal` may be about to use it.
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
        while let Err(rustix::io::Errno::INTR) = waitid(WaitId::Pid(pid), options) {}
    }
    let mut state = state.lock();
    state.pid = None;
    match child.wait() {
        Ok(status) => status.to_string(),
        Err(error) => error.to_string(),
    }
}

/// Takes over after an earlier child: waits until it and its processes are gone, makes them go if
/// they stay, and removes the files by which PostgreSQL would think that it still runs.
fn clear_remains(plan: &Plan) -> Result<(), PostgresError> {
    let began = Instant::now();
    let mut signals = [Signal::QUIT, Signal::KILL].into_iter();
    let mut limit = STOP_LIMIT;
    loop {
        let remaining = processes_in(&plan.folder);
        if remaining.is_empty() {
            break;
        }
        if began.elapsed() > limit {
            let Some(signal) = signals.next() else {
                return Err(PostgresError::NotStarted(format!(
                    "processes of an earlier one still use {}: {remaining:?}",
                    plan.folder.display()
                )));
            };
            limit += STOP_LIMIT / 4;
            for pid in remaining {
                let _ = kill_process(pid, signal);
            }
        }
        thread::sleep(LOOK);
    }
    let socket = format!(".s.PGSQL.{SOCKET_NUMBER}");
    for file in [
        plan.folder.join("postmaster.pid"),
        plan.sockets.join(format!("{socket}.lock")),
        plan.sockets.join(socket),
    ] {
        match fs::remove_file(&file) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(PostgresError::io(&file)(error));
            }
            _ => {}
        }
    }
    Ok(())
}

/// The processes of a PostgreSQL on `folder`, which is the working directory of all of them.
fn processes_in(folder: &Path) -> Vec<Pid> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    entries
        .filter_map(|entry| {
            let entry = entry.ok()?;
            let pid: i32 = entry.file_name().to_str()?.parse().ok()?;
            let process = entry.path();
            let is_one = match fs::read_link(process.join("cwd")) {
                Ok(directory) => directory == folder,
                // Root in a container may not look into processes of other users.
                Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => {
                    looks_like_one(&process, folder)
                }
                Err(_) => false,
            };
            is_one.then(|| Pid::from_raw(pid)).flatten()
        })
        .collect()
}

/// Judges a process by what everybody may see: one that was started for `folder`, or one of
/// PostgreSQL's that has lost its parent and so is about to end.
fn looks_like_one(process: &Path, folder: &Path) -> bool {
    let Ok(command_line) = fs::read(process.join("cmdline")) else { return false };
    if command_line.split(|byte| *byte == 0).any(|word| word == folder.as_os_str().as_bytes()) {
        return true;
    }
    if !command_line.starts_with(b"postgres: ") {
        return false;
    }
    let Ok(status) = fs::read_to_string(process.join("status")) else { return false };
    let parent = status.lines().find_map(|line| line.strip_prefix("PPid:")).map_or("", str::trim);
    fs::read_to_string(format!("/proc/{parent}/comm")).is_ok_and(|name| name.trim() != "postgres")
}

/// Passes the child's lines on to our log, by their own severity.
fn forward_log(stderr: ChildStderr, kept: &Mutex<VecDeque<String>>) {
    // By bytes: a line may hold what a client sent, in whatever encoding.
    for line in BufReader::new(stderr).split(b'\n') {
        let Ok(line) = line else { return };
        let line = String::from_utf8_lossy(&line).into_owned();
        match line.split_once(':').map_or("", |(severity, _)| severity) {
            "PANIC" => tracing::error!(target: "guildhall::postgres", line),
            "WARNING" => tracing::warn!(target: "guildhall::postgres", line),
            // Also FATAL, which is the end of one session: whoever used it has the error.
            _ => tracing::debug!(target: "guildhall::postgres", line),
        }
        let mut kept = kept.lock();
        if kept.len() == KEPT_LINES {
            kept.pop_front();
        }
        kept.push_back(line);
    }
}
