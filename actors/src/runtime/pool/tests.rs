//! The pool with interpreters that are closures: what is under test is who runs what, and when.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::sync::{
    OnceLock,
    atomic::{AtomicUsize, Ordering},
    mpsc,
};

use guildhall_core::Error;
use schemars::JsonSchema;
use serde::Deserialize;
use tokio::sync::Semaphore;

use super::*;
use crate::{
    host::{HostFn, HostFunction, Origin},
    registry::FunctionId,
    runtime::{
        call::{Context, Input},
        script::{Interpreter, Invoked, Started},
        seat::HostError,
    },
};

type Script = dyn Fn(&Seat, u32) -> Invoked + Send + Sync;

/// A program whose function number `n` is `script(seat, n)`; loading is function [`LOAD`].
struct Fake {
    script: Arc<Script>,
    starts: AtomicUsize,
}

const LOAD: u32 = u32::MAX;

struct FakeInterpreter {
    script: Arc<Script>,
    seat: Arc<Seat>,
}

impl Program for Fake {
    fn language(&self) -> Language {
        Language::Lua
    }

    fn start(&self, seat: Arc<Seat>) -> Result<Started, LoadError> {
        self.starts.fetch_add(1, Ordering::SeqCst);
        if let Err(error) = (self.script)(&seat, LOAD).result {
            return Err(LoadError::of_pool(error.to_string()));
        }
        let script = Arc::clone(&self.script);
        Ok(Started {
            interpreter: Box::new(FakeInterpreter { script, seat }),
            registrations: Vec::new(),
        })
    }
}

impl Interpreter for FakeInterpreter {
    fn call(&mut self, call: Call) -> Invoked {
        (self.script)(&self.seat, call.function.0)
    }
}

fn io() -> tokio::runtime::Handle {
    static IO: OnceLock<tokio::runtime::Runtime> = OnceLock::new();
    IO.get_or_init(|| {
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
    })
    .handle()
    .clone()
}

fn settings(min: usize, max: usize) -> PoolSettings {
    PoolSettings {
        min,
        max,
        queue: 64,
        call_deadline: Duration::from_secs(60),
        load_deadline: Duration::from_secs(60),
        host_wait: Duration::from_secs(60),
        grace: Duration::from_secs(60),
        idle: Duration::from_secs(60),
        processors: 2,
        check: None,
    }
}

/// A pool and a way to wait for what it becomes.
struct Rig {
    pool: ScriptPool,
    fake: Arc<Fake>,
}

impl Rig {
    async fn new(
        settings: PoolSettings,
        script: impl Fn(&Seat, u32) -> Invoked + Send + Sync + 'static,
    ) -> Self {
        Self::try_new(settings, script).await.unwrap()
    }

    async fn try_new(
        settings: PoolSettings,
        script: impl Fn(&Seat, u32) -> Invoked + Send + Sync + 'static,
    ) -> Result<Self, LoadError> {
        let fake = Arc::new(Fake { script: Arc::new(script), starts: AtomicUsize::new(0) });
        let cx = Arc::new(Cx::without_database(Arc::default(), io()).unwrap());
        let watchdog = Watchdog::start().unwrap();
        let program = Arc::clone(&fake) as Arc<dyn Program>;
        let (pool, _) = ScriptPool::start(program, cx, settings, &watchdog).await?;
        Ok(Self { pool, fake })
    }

    fn call(&self, function: u32) -> tokio::task::JoinHandle<Result<Output>> {
        let pool = self.pool.clone();
        let call = Call {
            function: FunctionId(function),
            context: Context { mode: ExecutionMode::Rpc, ..Context::default() },
            input: Input::Rpc { payload: Vec::new() },
        };
        tokio::spawn(async move { pool.call(call).await })
    }

    async fn answer(&self, function: u32) -> Result<Output> {
        tokio::time::timeout(Duration::from_secs(30), self.call(function)).await.unwrap().unwrap()
    }

    /// Waits until `is_so` holds of the pool's figures.
    async fn until(&self, is_so: impl Fn(&PoolStats) -> bool) -> PoolStats {
        for _ in 0..30_000 {
            let stats = self.pool.stats();
            if is_so(&stats) {
                return stats;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        panic!("did not come about: {:?}", self.pool.stats());
    }
}

fn text(text: impl ToString) -> Invoked {
    Invoked { result: Ok(Output::Text(text.to_string().into_bytes())), spoiled: false }
}

fn said(text: &str) -> Output {
    Output::Text(text.as_bytes().to_vec())
}

/// Functions that wait until they are told to go on.
#[derive(Clone)]
struct Gate(Arc<(Mutex<mpsc::Receiver<()>>, mpsc::Sender<()>)>);

impl Gate {
    fn new() -> Self {
        let (send, receive) = mpsc::channel();
        Self(Arc::new((Mutex::new(receive), send)))
    }

    fn open(&self) {
        self.0.1.send(()).unwrap();
    }

    fn pass(&self) {
        // Not under the lock: several wait at once.
        while self.0.0.lock().try_recv().is_err() {
            thread::sleep(Duration::from_millis(1));
        }
    }
}

fn spin_until_told(seat: &Seat) -> Invoked {
    while !seat.expired() {
        thread::yield_now();
    }
    let error = Status::new(Code::DeadlineExceeded, "stopped").into();
    Invoked { result: Err(error), spoiled: false }
}

#[tokio::test]
async fn starts_at_min_and_calls_in_sequence_meet_the_same_thread() {
    let rig = Rig::new(settings(4, 8), |_, _| text(format!("{:?}", thread::current().id()))).await;
    let stats = rig.until(|stats| stats.idle == 4).await;
    assert_eq!((stats.total, stats.made), (4, 4));
    let first = rig.answer(1).await.unwrap();
    let mut others = 0;
    for _ in 0..20 {
        rig.until(|stats| stats.idle == 4).await;
        others += usize::from(rig.answer(1).await.unwrap() != first);
    }
    // On a machine too busy to run the woken thread another may be woken.
    assert!(others <= 5, "{others} of 20 met another thread");
}

#[tokio::test]
async fn first_interpreter_alone_decides_whether_loading_succeeds() {
    let loads = AtomicUsize::new(0);
    let failed = Rig::try_new(settings(4, 4), move |_, _| {
        assert_eq!(loads.fetch_add(1, Ordering::SeqCst), 0, "loaded again after a failure");
        Invoked { result: Err(Status::new(Code::Internal, "line 3").into()), spoiled: false }
    });
    let error = failed.await.err().unwrap();
    assert_eq!(error.message, "line 3");
}

#[tokio::test]
async fn grows_under_load_to_max_and_shrinks_when_idle() {
    let gate = Gate::new();
    let pass = gate.clone();
    let script = move |_: &Seat, function| {
        if function == 1 {
            pass.pass();
        }
        text("done")
    };
    let limits = PoolSettings { idle: Duration::from_millis(20), ..settings(1, 3) };
    let rig = Rig::new(limits, script).await;
    let calls: Vec<_> = (0..5).map(|_| rig.call(1)).collect();
    let stats = rig.until(|stats| stats.total == 3 && stats.queued == 2).await;
    assert_eq!(stats.busy(), 3);
    calls.iter().for_each(|_| gate.open());
    for call in calls {
        assert_eq!(call.await.unwrap().unwrap(), said("done"));
    }
    rig.until(|stats| stats.total == 1 && stats.idle == 1).await;
    assert_eq!(rig.answer(2).await.unwrap(), said("done"));
}

#[tokio::test]
async fn call_behind_long_ones_is_given_an_idle_thread() {
    let gate = Gate::new();
    let pass = gate.clone();
    let script = move |_: &Seat, function| {
        if function == 1 {
            pass.pass();
        }
        text(function)
    };
    // More long calls than processors: others must still be answered.
    let rig = Rig::new(settings(8, 8), script).await;
    rig.until(|stats| stats.idle == 8).await;
    let long: Vec<_> = (0..5).map(|_| rig.call(1)).collect();
    for _ in 0..20 {
        assert_eq!(rig.answer(2).await.unwrap(), said("2"));
    }
    long.iter().for_each(|_| gate.open());
    for call in long {
        call.await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn full_queue_refuses() {
    let gate = Gate::new();
    let pass = gate.clone();
    let script = move |_: &Seat, function| {
        if function == 1 {
            pass.pass();
        }
        text("done")
    };
    let rig = Rig::new(PoolSettings { queue: 2, ..settings(1, 1) }, script).await;
    let running = rig.call(1);
    rig.until(|stats| stats.busy() == 1 && stats.queued == 0).await;
    let queued = [rig.call(1), rig.call(1)];
    rig.until(|stats| stats.queued == 2).await;
    assert_eq!(rig.answer(1).await.unwrap_err().code(), Code::ResourceExhausted);
    assert_eq!(rig.pool.stats().refused, 1);
    (0..3).for_each(|_| gate.open());
    running.await.unwrap().unwrap();
    for call in queued {
        call.await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn call_that_nobody_waits_for_is_not_begun() {
    let gate = Gate::new();
    let pass = gate.clone();
    let begun = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&begun);
    let script = move |_: &Seat, function| {
        match function {
            1 => pass.pass(),
            2 => drop(count.fetch_add(1, Ordering::SeqCst)),
            _ => {}
        }
        text("done")
    };
    let rig = Rig::new(settings(1, 1), script).await;
    let running = rig.call(1);
    rig.until(|stats| stats.busy() == 1 && stats.queued == 0).await;
    let left = rig.call(2);
    rig.until(|stats| stats.queued == 1).await;
    left.abort();
    assert!(left.await.unwrap_err().is_cancelled());
    gate.open();
    running.await.unwrap().unwrap();
    rig.answer(3).await.unwrap();
    assert_eq!(begun.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn panic_ends_one_call_and_its_interpreter_is_replaced() {
    let script = |_: &Seat, function| {
        assert_ne!(function, 1, "the module panics");
        text("done")
    };
    let rig = Rig::new(settings(2, 2), script).await;
    for _ in 0..10 {
        let error = rig.answer(1).await.unwrap_err();
        assert!(
            matches!(&error, Error::Fault(fault) if fault.source.to_string().contains("the module panics"))
        );
        assert_eq!(error.message(), PANICKED);
        assert_eq!(rig.answer(2).await.unwrap(), said("done"));
    }
    let stats = rig.until(|stats| stats.total == 2 && stats.replaced == 10).await;
    assert_eq!(stats.lost, 0);
}

const PANICKED: &str = "Runtime function failed unexpectedly.";

#[tokio::test]
async fn spoiled_interpreter_is_not_used_again() {
    let script = |_: &Seat, function| Invoked { spoiled: function == 1, ..thread_id() };
    fn thread_id() -> Invoked {
        text(format!("{:?}", thread::current().id()))
    }
    let rig = Rig::new(settings(1, 1), script).await;
    let spoiled = rig.answer(1).await.unwrap();
    let after = rig.answer(2).await.unwrap();
    assert_ne!(spoiled, after);
    assert_eq!(rig.answer(2).await.unwrap(), after);
    assert_eq!(rig.fake.starts.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn deadline_ends_a_loop_and_the_stopper_is_called_once() {
    let stops = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&stops);
    let script = move |seat: &Seat, function| {
        if function != 1 {
            return text("done");
        }
        let count = Arc::clone(&count);
        seat.set_stopper(Some(Box::new(move || {
            count.fetch_add(1, Ordering::SeqCst);
        })));
        let invoked = spin_until_told(seat);
        seat.set_stopper(None);
        invoked
    };
    let limits = PoolSettings { call_deadline: Duration::from_millis(200), ..settings(2, 2) };
    let rig = Rig::new(limits, script).await;
    for round in 1..=3 {
        assert_eq!(rig.answer(1).await.unwrap_err().message(), "stopped");
        assert_eq!(rig.answer(2).await.unwrap(), said("done"));
        assert_eq!(stops.load(Ordering::SeqCst), round);
    }
    let stats = rig.until(|stats| stats.total == 2 && stats.replaced == 3).await;
    assert_eq!(stats.deadlines, 3);
}

#[tokio::test]
async fn loading_has_a_deadline_of_its_own() {
    let script = |seat: &Seat, function| match function {
        LOAD => spin_until_told(seat),
        _ => text("done"),
    };
    let limits = PoolSettings { load_deadline: Duration::from_millis(20), ..settings(1, 1) };
    assert_eq!(Rig::try_new(limits, script).await.err().unwrap().message, "stopped");
}

#[tokio::test]
async fn thread_that_does_not_come_back_is_given_up_and_replaced() {
    let gate = Gate::new();
    let pass = gate.clone();
    let script = move |_: &Seat, function| {
        if function == 1 {
            pass.pass();
        }
        text("done")
    };
    let soon = Duration::from_millis(100);
    let limits = PoolSettings { call_deadline: soon, grace: soon, ..settings(1, 1) };
    let rig = Rig::new(limits, script).await;
    assert_eq!(rig.answer(1).await.unwrap_err().code(), Code::DeadlineExceeded);
    assert_eq!(rig.answer(2).await.unwrap(), said("done"));
    let stats = rig.pool.stats();
    assert_eq!((stats.lost, stats.total), (1, 1));
    gate.open();
    rig.until(|stats| stats.lost == 0 && stats.total == 1).await;
}

#[tokio::test]
async fn lost_threads_are_bounded() {
    let gate = Gate::new();
    let pass = gate.clone();
    let script = move |_: &Seat, function| {
        if function == 1 {
            pass.pass();
        }
        text("done")
    };
    let soon = Duration::from_millis(100);
    let limits = PoolSettings { call_deadline: soon, grace: soon, ..settings(1, 1) };
    let rig = Rig::new(limits, script).await;
    for _ in 0..2 {
        assert_eq!(rig.answer(1).await.unwrap_err().code(), Code::DeadlineExceeded);
    }
    // Two are lost where at most one is allowed: nothing is left to answer.
    assert_eq!(rig.answer(2).await.unwrap_err().message(), NO_INTERPRETER);
    gate.open();
    gate.open();
    rig.until(|stats| stats.lost == 0 && stats.total == 1).await;
    assert_eq!(rig.answer(2).await.unwrap(), said("done"));
}

/// Waits until [`PERMITS`] allows it to go on, or fails at once.
#[derive(Deserialize, JsonSchema)]
struct WaitForPermit {}

static PERMITS: Semaphore = Semaphore::const_new(0);

impl HostFn for WaitForPermit {
    const NAME: &'static str = "wait_for_permit";
    type Output = ();
    async fn call(self, _: &Cx, _: Origin<'_>) -> Result<()> {
        PERMITS.acquire().await.unwrap().forget();
        Ok(())
    }
}

/// Never ends.
#[derive(Deserialize, JsonSchema)]
struct WaitForever {}

impl HostFn for WaitForever {
    const NAME: &'static str = "wait_forever";
    type Output = ();
    async fn call(self, _: &Cx, _: Origin<'_>) -> Result<()> {
        std::future::pending().await
    }
}

/// Counts how often it acts.
#[derive(Deserialize, JsonSchema)]
struct Count {}

static COUNTED: AtomicUsize = AtomicUsize::new(0);

impl HostFn for Count {
    const NAME: &'static str = "count";
    type Output = usize;
    async fn call(self, _: &Cx, _: Origin<'_>) -> Result<usize> {
        match COUNTED.fetch_add(1, Ordering::SeqCst) {
            1 => Err(Status::new(Code::NotFound, "the second fails").into()),
            count => Ok(count),
        }
    }
}

static WAIT_FOR_PERMIT: HostFunction = HostFunction::of::<WaitForPermit>();
static WAIT_FOREVER: HostFunction = HostFunction::of::<WaitForever>();
static COUNT: HostFunction = HostFunction::of::<Count>();

/// What `function` answers, as JSON.
fn host(seat: &Seat, function: &HostFunction) -> Result<String, String> {
    let context = Context::default();
    let origin = Origin { language: Language::Lua, context: &context };
    let mut arguments = <dyn erased_serde::Deserializer<'_>>::erase(serde_json::json!({}));
    match seat.host(function, &mut arguments, origin) {
        Ok(answer) => Ok(serde_json::to_string(&**answer).unwrap()),
        Err(HostError::Arguments(text)) => Err(text),
        Err(HostError::Failed(error)) => Err(error.to_string()),
    }
}

#[tokio::test]
async fn deadline_stands_still_while_a_host_function_waits() {
    let script = |seat: &Seat, function| match function {
        1 => text(host(seat, &WAIT_FOR_PERMIT).unwrap()),
        2 => spin_until_told(seat),
        _ => text("done"),
    };
    let limits = PoolSettings { call_deadline: Duration::from_millis(200), ..settings(2, 2) };
    let rig = Rig::new(limits, script).await;
    let waiting = rig.call(1);
    rig.until(|stats| stats.waiting == 1).await;
    // The other's deadline passes several times meanwhile.
    for _ in 0..3 {
        assert_eq!(rig.answer(2).await.unwrap_err().message(), "stopped");
    }
    PERMITS.add_permits(1);
    assert_eq!(waiting.await.unwrap().unwrap(), said("null"));
    assert_eq!(rig.pool.stats().deadlines, 3);
}

#[tokio::test]
async fn threads_that_wait_make_room_for_others() {
    let script = |seat: &Seat, function| match function {
        1 => text(host(seat, &WAIT_FOREVER).unwrap_err()),
        _ => text("done"),
    };
    let limits = PoolSettings { host_wait: Duration::from_millis(200), ..settings(6, 6) };
    let rig = Rig::new(limits, script).await;
    rig.until(|stats| stats.idle == 6).await;
    let waiting: Vec<_> = (0..5).map(|_| rig.call(1)).collect();
    rig.until(|stats| stats.waiting == 5).await;
    assert_eq!(rig.answer(2).await.unwrap(), said("done"));
    for call in waiting {
        let Output::Text(words) = call.await.unwrap().unwrap() else { panic!("no words") };
        assert!(String::from_utf8(words).unwrap().contains("runtime.host_wait_ms"));
    }
}

#[tokio::test]
async fn side_effects_of_loading_happen_once() {
    let loads = AtomicUsize::new(0);
    let answers = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&answers);
    let script = move |seat: &Seat, function| {
        if function == LOAD {
            let mut words: Vec<_> = (0..3).map(|_| host(seat, &COUNT)).collect();
            if loads.fetch_add(1, Ordering::SeqCst) > 0 {
                words.push(host(seat, &COUNT));
            }
            seen.lock().push(words);
        }
        text("done")
    };
    let rig = Rig::new(settings(2, 2), script).await;
    rig.until(|stats| stats.total == 2).await;
    let answers = answers.lock();
    assert_eq!(answers[0], [Ok("0".into()), Err("the second fails".into()), Ok("2".into())]);
    assert_eq!(answers[1][..3], answers[0][..]);
    // One call more than the first time has no answer, and must not act.
    assert!(answers[1][3].as_ref().unwrap_err().contains("call 4 of count"));
    assert_eq!(COUNTED.load(Ordering::SeqCst), 3);
}

#[tokio::test]
async fn host_functions_refuse_once_the_time_is_up() {
    let script = |seat: &Seat, function| {
        if function != LOAD {
            spin_until_told(seat);
            return text(host(seat, &WAIT_FOREVER).unwrap_err());
        }
        text("")
    };
    let limits = PoolSettings { call_deadline: Duration::from_millis(5), ..settings(1, 1) };
    let rig = Rig::new(limits, script).await;
    assert_eq!(rig.answer(1).await.unwrap(), said("the function's running time is used up"));
}

#[tokio::test]
async fn pool_without_a_working_interpreter_says_so() {
    let loads = AtomicUsize::new(0);
    let script = move |_: &Seat, function| match function {
        LOAD if loads.fetch_add(1, Ordering::SeqCst) > 0 => {
            Invoked { result: Err(Status::new(Code::Internal, "no more").into()), spoiled: false }
        }
        _ => Invoked { spoiled: true, ..text("done") },
    };
    let rig = Rig::new(settings(1, 1), script).await;
    assert_eq!(rig.answer(1).await.unwrap(), said("done"));
    let error = rig.answer(1).await.unwrap_err();
    assert_eq!(error.message(), NO_INTERPRETER);
    assert!(error.to_string().contains("no more"), "{error}");
}

#[tokio::test]
async fn threads_end_with_the_last_handle() {
    struct Ends(Arc<AtomicUsize>);
    impl Drop for Ends {
        fn drop(&mut self) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }
    thread_local!(static ENDS: std::cell::RefCell<Vec<Ends>> = const { std::cell::RefCell::new(Vec::new()) });
    let ended = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&ended);
    let script = move |_: &Seat, _| {
        ENDS.with_borrow_mut(|ends| ends.push(Ends(Arc::clone(&count))));
        text("")
    };
    let rig = Rig::new(settings(3, 3), script).await;
    rig.until(|stats| stats.idle == 3).await;
    drop(rig);
    while ended.load(Ordering::SeqCst) < 3 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_callers_are_all_answered() {
    let script = |_: &Seat, function| text(function);
    let rig = Arc::new(Rig::new(PoolSettings { queue: 4096, ..settings(4, 8) }, script).await);
    let callers: Vec<_> = (0..32u32)
        .map(|caller| {
            let rig = Arc::clone(&rig);
            tokio::spawn(async move {
                for round in 0..200 {
                    let function = caller * 1000 + round;
                    assert_eq!(rig.answer(function).await.unwrap(), said(&function.to_string()));
                }
            })
        })
        .collect();
    for caller in callers {
        caller.await.unwrap();
    }
    assert_eq!(rig.pool.stats().calls, 32 * 200);
}

#[tokio::test]
async fn a_pool_beside_answers_while_every_interpreter_of_the_first_waits_for_it() {
    let beside = Arc::new(OnceLock::<ScriptPool>::new());
    let other = Arc::clone(&beside);
    let rig = Rig::new(settings(1, 1), move |_, function| match function {
        LOAD => text(""),
        0 => text("from beside"),
        _ => {
            let call = Call {
                function: FunctionId(0),
                context: Context::default(),
                input: Input::Plain { arguments: Vec::new() },
            };
            let answer = io().block_on(other.get().unwrap().call(call));
            Invoked { result: answer, spoiled: false }
        }
    })
    .await;
    assert!(beside.set(rig.pool.beside()).is_ok());
    assert_eq!(rig.answer(1).await.unwrap(), said("from beside"));
    assert_eq!(rig.fake.starts.load(Ordering::SeqCst), 2);
}
