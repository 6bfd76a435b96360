//! The sample modules, built as their README says and loaded over the C ABI.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test")]

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::{Arc, LazyLock},
    thread,
};

use guildhall_actors::{
    cx::Cx,
    endpoint::Message,
    registry::{FunctionId, Point, Registration},
    runtime::{
        call::{Argument, Call, Context, ExecutionMode, Input, Output, Wire},
        modules::scan,
        native::NativeProgram,
        script::{LoadError, Program, Started},
        seat::Seat,
        surroundings::Surroundings,
    },
};
use guildhall_core::{Code, config::Config};
use guildhall_proto::api::{
    AccountCustom, AccountEmail, AuthenticateCustomRequest, AuthenticateEmailRequest, Session,
};
use serde_json::json;
use tokio::runtime::Runtime;

/// Where the samples are, built once for all tests.
static SAMPLES: LazyLock<PathBuf> = LazyLock::new(|| {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let out = Path::new(env!("CARGO_TARGET_TMPDIR")).join("native");
    let built = Command::new(root.join("sdk/samples/build.sh")).arg(&out).output().unwrap();
    let said = String::from_utf8_lossy(&built.stdout);
    assert!(built.status.success(), "{said}{}", String::from_utf8_lossy(&built.stderr));
    for line in said.lines().filter(|line| line.starts_with("skipped")) {
        eprintln!("{line}");
    }
    out
});

static IO: LazyLock<Runtime> = LazyLock::new(|| Runtime::new().unwrap());

fn seat() -> Arc<Seat> {
    let cx = Cx::without_database(Arc::new(Config::default()), IO.handle().clone());
    Arc::new(Seat::new(Arc::new(cx.unwrap())))
}

fn program(root: &Path, modules: &[&str]) -> NativeProgram {
    let scanned = scan(root, "").unwrap().into_iter();
    let chosen = scanned.filter(|file| modules.contains(&file.path.as_str())).collect();
    NativeProgram::new(
        chosen,
        Arc::new(Surroundings { node: "test".to_owned(), ..Surroundings::default() }),
    )
}

/// A module that is loaded, or `None` where a sample could not be built here.
fn load(module: &str) -> Option<Loaded> {
    if !SAMPLES.join(module).exists() {
        eprintln!("skipped: {module} was not built here");
        return None;
    }
    Some(Loaded(program(&SAMPLES, &[module]).start(seat()).unwrap()))
}

struct Loaded(Started);

impl Loaded {
    fn function(&self, point: Point, name: &str) -> FunctionId {
        let found = |it: &&Registration| it.point == point && it.name == name;
        self.0.registrations.iter().find(found).unwrap().function
    }

    fn run(&mut self, point: Point, name: &str, input: Input) -> Result<Output, (Code, String)> {
        let function = self.function(point, name);
        let mode = if point == Point::Rpc { ExecutionMode::Rpc } else { ExecutionMode::Before };
        let context = Context { mode, ..Context::default() };
        let invoked = self.0.interpreter.call(Call { function, context, input });
        assert!(!invoked.spoiled);
        invoked.result.map_err(|error| (error.code(), error.message().to_owned()))
    }

    fn rpc(&mut self, id: &str, payload: &[u8]) -> Result<String, (Code, String)> {
        let input = Input::Rpc { payload: payload.to_vec() };
        self.run(Point::Rpc, id, input).map(|output| match output {
            Output::Text(text) => String::from_utf8(text).unwrap(),
            other => panic!("{other:?}"),
        })
    }

    fn before<M: Message>(&mut self, name: &str, request: &M) -> Result<M, (Code, String)> {
        let input = Input::Before { request: Some(wire(request)) };
        self.run(Point::Before, name, input).map(|output| match output {
            Output::Message(bytes) => M::decode(bytes.as_slice()).unwrap(),
            other => panic!("{other:?}"),
        })
    }
}

fn wire<M: Message>(message: &M) -> Wire {
    Wire { descriptor: M::descriptor().unwrap(), bytes: message.encode_to_vec() }
}

/// What the Rust and the Go sample have in common.
fn story(module: &mut Loaded, language: &str, source: &str) {
    let mut rpc =
        |name: &str, payload: &str| module.rpc(&format!("{language}_{name}"), payload.as_bytes());
    assert_eq!(rpc("echo", "é"), Ok("é".to_owned()));
    assert_eq!(rpc("echo", ""), Ok(String::new()));
    let digest: serde_json::Value = serde_json::from_str(&rpc("digest", "abc").unwrap()).unwrap();
    assert_eq!(
        digest,
        serde_json::json!({
            "sha256": "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
            "mode": "rpc",
        })
    );
    let refused = (Code::Unauthenticated, "a visit needs a user".to_owned());
    assert_eq!(rpc("visit", ""), Err(refused));

    for _ in 0..100 {
        let (code, text) = rpc("panic", "").unwrap_err();
        assert_eq!(code, Code::Internal);
        assert!(text.starts_with("panic at ") && text.contains(source), "{text}");
    }
    assert_eq!(rpc("echo", "still here"), Ok("still here".to_owned()));
}

#[test]
fn the_rust_sample_runs() {
    let mut module = load("rust_hello.so").unwrap();
    story(&mut module, "rust", "src/lib.rs:");

    let request = |id: &str| AuthenticateCustomRequest {
        account: Some(AccountCustom { id: id.into(), ..AccountCustom::default() }),
        username: "ann".into(),
        ..AuthenticateCustomRequest::default()
    };
    let name = "authenticatecustom";
    assert_eq!(module.before(name, &request(" Abc ")), Ok(request("abc")));
    let refused = (Code::PermissionDenied, "This id is reserved.".to_owned());
    assert_eq!(module.before(name, &request("Staff-1")), Err(refused));
    let response = Session { created: true, ..Session::default() };
    let input = Input::After { response: Some(wire(&response)), request: None };
    assert_eq!(module.run(Point::After, name, input), Ok(Output::Nothing));

    for (count, taken_up) in [(1, false), (2, true)] {
        let object = json!({ "value": json!({ "count": count }).to_string() });
        let input = Input::Plain { arguments: vec![Argument::of(object)] };
        let answer = module.run(Point::StorageIndexFilter, "rust_visits", input);
        assert_eq!(answer, Ok(Output::Value(json!(taken_up))));
    }
}

#[test]
fn the_go_sample_runs() {
    let Some(mut module) = load("go_hello.so") else { return };
    story(&mut module, "go", "(main.broken): ");

    let request = |email: &str| AuthenticateEmailRequest {
        account: Some(AccountEmail { email: email.into(), ..AccountEmail::default() }),
        username: "ann".into(),
        ..AuthenticateEmailRequest::default()
    };
    let name = "authenticateemail";
    assert_eq!(module.before(name, &request(" A@B.example")), Ok(request("a@b.example")));
    let refused = (Code::PermissionDenied, "Use an address that lasts.".to_owned());
    assert_eq!(module.before(name, &request("x@Throwaway.example")), Err(refused));
    let response = Session { created: true, ..Session::default() };
    let input = Input::After { response: Some(wire(&response)), request: None };
    assert_eq!(module.run(Point::After, name, input), Ok(Output::Nothing));
}

#[test]
fn the_go_sdk_passes_its_own_tests() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../sdk/go");
    for check in ["vet", "test"] {
        let Ok(done) = Command::new("go").args([check, "./..."]).current_dir(&folder).output()
        else {
            assert_ne!(std::env::var("CI").as_deref(), Ok("true"), "CI must have Go");
            eprintln!("skipped: the Go SDK's tests, no Go toolchain on PATH");
            return;
        };
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    }
}

#[test]
fn a_module_in_c_runs_and_the_handle_of_an_ended_call_is_refused() {
    let Some(mut module) = load("c_hello.so") else { return };
    assert_eq!(module.rpc("c_echo", b"hi"), Ok("hi".to_owned()));
    let input = || Input::Rpc { payload: Vec::new() };
    assert_eq!(module.run(Point::Rpc, "c_late", input()), Ok(Output::Nothing));
    let (code, _) = module.run(Point::Rpc, "c_late", input()).unwrap_err();
    assert_eq!(code, Code::FailedPrecondition);
}

#[test]
fn threads_call_all_modules_at_once_and_load_them_once() {
    let present = ["c_hello.so", "go_hello.so", "rust_hello.so"];
    let present: Vec<_> =
        present.into_iter().filter(|module| SAMPLES.join(module).exists()).collect();
    let program = program(&SAMPLES, &present);
    let first = program.start(seat()).unwrap().registrations.len();
    thread::scope(|scope| {
        for number in 0..4 {
            let program = &program;
            scope.spawn(move || {
                let mut modules = Loaded(program.start(seat()).unwrap());
                assert_eq!(modules.0.registrations.len(), first);
                for turn in 0..500 {
                    let text = format!("{number}-{turn}");
                    for registration in modules.0.registrations.clone() {
                        if registration.name.ends_with("_echo") {
                            let answer = modules.rpc(&registration.name, text.as_bytes());
                            assert_eq!(answer, Ok(text.clone()));
                        }
                    }
                }
            });
        }
    });
}

/// What comes of loading a module of this C source, with the header in a folder of this crate;
/// `None` where there is no compiler.
fn compiled(name: &str, header: &str, source: &str) -> Option<Result<Started, LoadError>> {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("compiled");
    fs::create_dir_all(&folder).unwrap();
    let header = Path::new(env!("CARGO_MANIFEST_DIR")).join(header);
    let file = folder.join(format!("{name}.c"));
    fs::write(&file, format!("#include \"guildhall.h\"\n{source}")).unwrap();
    let library = folder.join(format!("{name}.so"));
    let mut compiler = Command::new("cc");
    compiler.args(["-shared", "-fPIC", "-I"]).arg(header).arg("-o").arg(&library).arg(&file);
    let Ok(status) = compiler.status() else {
        eprintln!("skipped: no C compiler on PATH");
        return None;
    };
    assert!(status.success());
    Some(program(&folder, &[&format!("{name}.so")]).start(seat()))
}

/// The error of loading a module of this C source; `None` where there is no compiler.
fn broken(name: &str, source: &str) -> Option<LoadError> {
    Some(compiled(name, "../sdk/include", source)?.map(drop).unwrap_err())
}

/// The header is that of the first modules, before the interface knew matches.
#[test]
fn a_module_that_was_built_before_the_interface_grew_still_runs() {
    let source = include_str!("native/first/echo.c");
    let Some(started) = compiled("first", "tests/native/first", source) else { return };
    let mut module = Loaded(started.unwrap());
    assert_eq!(module.rpc("first_echo", b"hi"), Ok("hi".to_owned()));
}

#[test]
fn a_module_that_does_not_fit_names_file_and_cause() {
    let entry = "guildhall_code guildhall_module_init(const guildhall_host *host, \
                 guildhall_call call, guildhall_module *module)";
    let check = |name: &str, source: &str, expected: &str| {
        if let Some(error) = broken(name, source) {
            assert_eq!(error.to_string(), format!("{name}.so: {expected}"));
        }
    };
    check("no_entry", "", "exports no guildhall_module_init: it is not a native module");
    check(
        "newer",
        &format!("{entry} {{ module->version = 2; return 9; }}"),
        "was built for version 2 of the native interface, this server has version 1: build it \
         with this server's SDK",
    );
    check(
        "refuses",
        &format!(
            "{entry} {{ module->version = 1; host->answer(call, (const uint8_t *)\"no licence\", \
             10); return GUILDHALL_FAILED_PRECONDITION; }}"
        ),
        "its initialisation failed (code 9): no licence",
    );
    check(
        "empty",
        &format!("{entry} {{ module->version = 1; return 0; }}"),
        "its initialisation did not fill in the module's functions",
    );
}

#[test]
fn a_file_that_is_no_library_names_file_and_cause() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("no_library");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("text.so"), "text").unwrap();
    let error = program(&folder, &["text.so"]).start(seat()).map(drop).unwrap_err().to_string();
    assert!(error.starts_with("text.so: cannot be loaded: "), "{error}");
    assert!(error.contains("file too short") || error.contains("invalid ELF"), "{error}");
}
