//! Boots the real server for one test, on free ports, with its own database and modules.

pub mod providers;
pub mod socket;

use std::{
    fs::{self, File},
    net::{Ipv4Addr, TcpListener},
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicU16, Ordering},
    time::{Duration, Instant},
};

use serde_json::Value;
use tempfile::TempDir;
use ureq::{Agent, http};

/// How long a server may take to become healthy on a busy machine.
const START: Duration = Duration::from_secs(120);
/// How long a server may take to stop.
const STOP: Duration = Duration::from_secs(30);

/// The server key as HTTP Basic has it: `defaultkey:`.
pub const SERVER_KEY: &str = "Basic ZGVmYXVsdGtleTo=";
/// The query that carries the default HTTP key.
pub const HTTP_KEY: &str = "http_key=defaulthttpkey";

/// What a server is started with.
#[derive(Default)]
pub struct Setup {
    modules: Vec<(String, Vec<u8>)>,
    flags: Vec<String>,
    runtime_path: Option<PathBuf>,
}

impl Setup {
    pub fn new() -> Self {
        Self::default()
    }

    /// A module file, by its path below the runtime path.
    pub fn module(mut self, path: &str, source: impl Into<Vec<u8>>) -> Self {
        self.modules.push((path.to_owned(), source.into()));
        self
    }

    /// A folder of modules, in place of those given one by one.
    pub fn modules_of(mut self, folder: &Path) -> Self {
        self.runtime_path = Some(folder.to_owned());
        self
    }

    pub fn flag(mut self, flag: impl Into<String>) -> Self {
        self.flags.push(flag.into());
        self
    }

    pub fn start(self) -> Server {
        Server::start(self)
    }
}

/// A running server with its folder; both are gone when it is dropped.
pub struct Server {
    child: Child,
    folder: TempDir,
    flags: Vec<String>,
    agent: Agent,
    pub port: u16,
    pub metrics_port: u16,
}

/// An answer: the status and the body, JSON or text.
#[derive(Debug, PartialEq)]
pub struct Answer {
    pub status: u16,
    pub body: Value,
}

impl Answer {
    /// The body of a 200.
    #[track_caller]
    pub fn ok(self) -> Value {
        assert_eq!(self.status, 200, "{:#}", self.body);
        self.body
    }

    /// The code and message of a refusal.
    #[track_caller]
    pub fn refused(self) -> (u16, i64, String) {
        assert_ne!(self.status, 200, "{:#}", self.body);
        let message = self.body["message"].as_str().unwrap_or_default().to_owned();
        (self.status, self.body["code"].as_i64().unwrap_or_default(), message)
    }

    #[track_caller]
    pub fn text(&self, field: &str) -> String {
        self.body[field].as_str().unwrap_or_else(|| panic!("no {field} in {self:?}")).to_owned()
    }
}

impl Server {
    fn start(setup: Setup) -> Self {
        let folder = tempfile::Builder::new().prefix("guildhall-").tempdir().unwrap();
        // A database server that is not root must be able to enter.
        let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        fs::set_permissions(folder.path(), open).unwrap();
        let modules = setup.runtime_path.unwrap_or_else(|| folder.path().join("modules"));
        fs::create_dir_all(&modules).unwrap();
        for (path, source) in setup.modules {
            let path = modules.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, source).unwrap();
        }
        let mut flags = vec![
            "--logger.level=warn".to_owned(),
            format!("--data_dir={}", folder.path().join("data").display()),
            format!("--runtime.path={}", modules.display()),
            "--session.token_expiry_sec=600".to_owned(),
        ];
        flags.extend(setup.flags);
        let (child, port, metrics_port) = spawn(folder.path(), &flags);
        let agent = Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(Duration::from_secs(60)))
            .build()
            .into();
        let mut server = Self { child, folder, flags, agent, port, metrics_port };
        server.wait();
        server
    }

    fn wait(&mut self) {
        let began = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                panic!("the server ended with {status}:\n{}", self.log());
            }
            let url = format!("http://127.0.0.1:{}/healthcheck", self.port);
            if self.agent.get(url).call().is_ok_and(|answer| answer.status() == 200) {
                return;
            }
            assert!(began.elapsed() < START, "the server does not answer:\n{}", self.log());
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Stops the server as an operator would, and starts it again on the same data.
    pub fn restart(&mut self) {
        self.stop();
        self.start_again();
    }

    /// Starts the server again on the same data, after `stop` or `kill`.
    pub fn start_again(&mut self) {
        (self.child, self.port, self.metrics_port) = spawn(self.folder.path(), &self.flags);
        self.wait();
    }

    /// SIGTERM, and waits for the end.
    pub fn stop(&mut self) {
        signal(self.child.id(), "TERM");
        let began = Instant::now();
        while self.child.try_wait().unwrap().is_none() {
            if began.elapsed() > STOP {
                self.kill();
                panic!("the server did not stop:\n{}", self.log());
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// SIGKILL.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// All that the server has logged.
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    /// A request with a JSON body (or none), and an `Authorization` header (or none).
    #[track_caller]
    pub fn call(&self, verb: &str, path: &str, auth: &str, body: Option<&Value>) -> Answer {
        self.send(verb, path, &[("authorization", auth)], body.map(|body| body.to_string()))
    }

    /// A request with any headers and body; empty header values are left out.
    #[track_caller]
    pub fn send(
        &self,
        verb: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<String>,
    ) -> Answer {
        let mut request = http::Request::builder().method(verb).uri(self.url(path));
        for (name, value) in headers.iter().filter(|(_, value)| !value.is_empty()) {
            request = request.header(*name, *value);
        }
        let answer = match body {
            Some(body) => self
                .agent
                .run(request.header("content-type", "application/json").body(body).unwrap()),
            None => self.agent.run(request.body(()).unwrap()),
        };
        let mut answer =
            answer.unwrap_or_else(|error| panic!("{verb} {path}: {error}\n{}", self.log()));
        let text = answer.body_mut().read_to_string().unwrap();
        let body = serde_json::from_str(&text).unwrap_or(Value::String(text));
        Answer { status: answer.status().as_u16(), body }
    }

    #[track_caller]
    pub fn get(&self, path: &str, token: &str) -> Answer {
        self.call("GET", path, &bearer(token), None)
    }

    #[track_caller]
    pub fn post(&self, path: &str, token: &str, body: Value) -> Answer {
        self.call("POST", path, &bearer(token), Some(&body))
    }

    #[track_caller]
    pub fn put(&self, path: &str, token: &str, body: Value) -> Answer {
        self.call("PUT", path, &bearer(token), Some(&body))
    }

    /// Signs in by device id and gives back the session token.
    #[track_caller]
    pub fn sign_in(&self, device: &str) -> String {
        let path = format!("/v2/account/authenticate/device?create=true&username={device}");
        let body = serde_json::json!({ "id": format!("{device}-0123456789") });
        let answer = self.call("POST", &path, SERVER_KEY, Some(&body));
        assert_eq!(answer.status, 200, "{answer:?}\n{}", self.log());
        answer.text("token")
    }

    /// Calls an RPC by the HTTP key, with its bare payload, and gives back its bare answer.
    #[track_caller]
    pub fn rpc(&self, id: &str, payload: &str) -> Answer {
        let path = format!("/v2/rpc/{id}?unwrap&{HTTP_KEY}");
        self.send("POST", &path, &[], Some(payload.to_owned()))
    }

    /// The value of a metric without labels of its own: `sessions`.
    #[track_caller]
    pub fn metric(&self, name: &str) -> u64 {
        let url = format!("http://127.0.0.1:{}/", self.metrics_port);
        let page = ureq::get(url).call().unwrap().body_mut().read_to_string().unwrap();
        let name = format!("nakama_{name}{{");
        let line = page.lines().find(|line| line.starts_with(&name)).unwrap();
        line.rsplit_once(' ').unwrap().1.parse().unwrap()
    }

    /// The resident memory of the server process alone, in MB.
    pub fn resident_mb(&self) -> u64 {
        resident_mb(self.pid())
    }
}

/// The resident memory of a process, in MB.
pub fn resident_mb(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() / 1024
}

impl Drop for Server {
    fn drop(&mut self) {
        if self.child.try_wait().is_ok_and(|ended| ended.is_some()) {
            return;
        }
        signal(self.child.id(), "TERM");
        let began = Instant::now();
        while self.child.try_wait().is_ok_and(|ended| ended.is_none()) {
            if began.elapsed() > STOP {
                self.kill();
                return;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

/// `Bearer` with the token; nothing for an empty one; other schemes as they are.
pub fn bearer(token: &str) -> String {
    if token.is_empty() || token.contains(' ') {
        token.to_owned()
    } else {
        format!("Bearer {token}")
    }
}

/// The server's program: the one that cargo built, unless `SERVER_PROGRAM` names another.
pub fn program() -> Command {
    let named = std::env::var_os("SERVER_PROGRAM").filter(|path| !path.is_empty());
    Command::new(named.unwrap_or_else(|| env!("CARGO_BIN_EXE_guildhall").into()))
}

fn spawn(folder: &Path, flags: &[String]) -> (Child, u16, u16) {
    let (port, metrics_port) = (free_port(), free_port());
    let log = File::options().create(true).append(true).open(folder.join("log")).unwrap();
    let child = program()
        .args(flags)
        .arg(format!("--socket.port={port}"))
        .arg(format!("--metrics.prometheus_port={metrics_port}"))
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(log.try_clone().unwrap())
        .stderr(log)
        .process_group(0)
        .spawn()
        .unwrap();
    (child, port, metrics_port)
}

pub fn signal(pid: u32, name: &str) {
    let status = Command::new("kill").arg(format!("-{name}")).arg(pid.to_string()).status();
    assert!(status.is_ok(), "no kill command");
}

/// A port that is free, and that this process has not given out before: a server takes its port
/// only after its database is up. Below those that the system gives to clients.
pub fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    loop {
        let process = u16::try_from(std::process::id() % 200).unwrap();
        let port = 10_000 + process * 100 + NEXT.fetch_add(1, Ordering::Relaxed) % 2_000;
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return port;
        }
    }
}
