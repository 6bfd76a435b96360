//! The event queue: what clients and modules tell, and which sessions start and end, on its way to the
//! modules' event functions.
//!
//! The queue is bounded. What comes while it is full is dropped and counted, so that telling never
//! waits. Source: Nakama, `RuntimeEventQueue`.

use std::sync::Arc;

use guildhall_core::config;
use guildhall_proto::api;
use prost::Message as _;
use tokio::{
    runtime::Handle,
    sync::{Mutex, mpsc},
};

use super::call::{Call, Context, Input, Wire};
use crate::{
    endpoint::Message as _,
    metrics::Metrics,
    registry::{Point, Published},
};

/// An event, what its functions see, and for which point they are registered.
type Told = (Point, Context, Wire);

/// Takes events and gives them to every event function.
#[derive(Debug)]
pub struct Events {
    queue: mpsc::Sender<Told>,
    routes: Published,
    metrics: Arc<Metrics>,
}

type Queue = Arc<Mutex<mpsc::Receiver<Told>>>;

impl Events {
    /// A queue whose workers run on `io`, and end with it.
    pub fn start(
        config: &config::Runtime,
        routes: Published,
        metrics: Arc<Metrics>,
        io: &Handle,
    ) -> Self {
        let (queue, events) = mpsc::channel(config.event_queue_size);
        let events: Queue = Arc::new(Mutex::new(events));
        for _ in 0..config.event_queue_workers {
            io.spawn(work(Arc::clone(&events), Arc::clone(&routes)));
        }
        Self { queue, routes, metrics }
    }

    /// Whether any function is registered for this kind of events.
    pub fn are_heard(&self, point: Point) -> bool {
        !self.routes.load().events(point).is_empty()
    }

    /// Puts `event` into the queue, if any function is registered for `point`. `context` is what it
    /// sees.
    pub fn send(&self, point: Point, context: Context, event: &api::Event) {
        if !self.are_heard(point) {
            return;
        }
        let Some(descriptor) = api::Event::descriptor() else { return };
        let event = Wire { descriptor, bytes: event.encode_to_vec() };
        if self.queue.try_send((point, context, event)).is_err() {
            self.metrics.dropped_events.add(1);
            // A flood of events must not become a flood of lines.
            let dropped = self.metrics.dropped_events.value();
            if dropped.is_power_of_two() {
                tracing::warn!(dropped, "event queue full, events dropped");
            }
        }
    }
}

async fn work(events: Queue, routes: Published) {
    loop {
        let next = events.lock().await.recv().await;
        let Some((point, context, event)) = next else { return };
        let targets = routes.load().events(point).to_vec();
        for target in targets {
            let call = Call {
                function: target.function,
                context: context.clone(),
                input: Input::Event { event: event.clone() },
            };
            if let Err(error) = target.pool.call(call).await {
                tracing::error!(module = %target.module, %error, "event function failed");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]

    use std::time::Duration;

    use actix::Actor as _;
    use guildhall_core::config::Config;
    use parking_lot::Mutex;
    use tokio::sync::Semaphore;

    use super::*;
    use crate::{
        cx::Cx,
        host::Language,
        registry::{FunctionId, Loaded, Register, Registration, Registry},
        runtime::{
            call::{ExecutionMode, Output},
            pool::{PoolSettings, ScriptPool},
            script::{Interpreter, Invoked, LoadError, Program, Started},
            seat::Seat,
            watchdog::Watchdog,
        },
    };

    /// Keeps the names of the events it was given, once `allowed` lets it.
    struct Listener {
        heard: Arc<Mutex<Vec<String>>>,
        allowed: Arc<Semaphore>,
    }

    impl Program for Listener {
        fn language(&self) -> Language {
            Language::Native
        }

        fn start(&self, seat: Arc<Seat>) -> Result<Started, LoadError> {
            let registration = |function| Registration {
                point: Point::Event,
                name: String::new(),
                function: FunctionId(function),
                definition: None,
                module: "listener.so".to_owned(),
            };
            let ear = Ear {
                heard: Arc::clone(&self.heard),
                allowed: Arc::clone(&self.allowed),
                io: seat.cx().io.clone(),
            };
            Ok(Started {
                interpreter: Box::new(ear),
                registrations: vec![registration(1), registration(2)],
            })
        }
    }

    struct Ear {
        heard: Arc<Mutex<Vec<String>>>,
        allowed: Arc<Semaphore>,
        io: Handle,
    }

    impl Interpreter for Ear {
        fn call(&mut self, call: Call) -> Invoked {
            self.io.block_on(self.allowed.acquire()).unwrap().forget();
            assert_eq!(call.context.mode, ExecutionMode::Event);
            let Input::Event { event } = call.input else { panic!("no event") };
            let event = api::Event::decode(event.bytes.as_slice()).unwrap();
            self.heard.lock().push(format!("{} by {}", event.name, call.function.0));
            Invoked { result: Ok(Output::Nothing), spoiled: false }
        }
    }

    #[actix::test]
    async fn every_function_hears_every_event_and_a_full_queue_drops() {
        let mut config = Config::default();
        config.runtime.event_queue_size = 2;
        config.runtime.event_queue_workers = 1;
        let io = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
        let cx = Cx::without_database(Arc::new(config), io.handle().clone()).unwrap();
        let cx = Arc::new(cx);
        let event = |name: &str| api::Event { name: name.to_owned(), ..api::Event::default() };
        let context = || Context { mode: ExecutionMode::Event, ..Context::default() };
        // Nobody listens yet: nothing is kept, nothing is dropped.
        for _ in 0..5 {
            cx.events.send(Point::Event, context(), &event("early"));
        }
        assert_eq!(cx.metrics.dropped_events.value(), 0);

        let (heard, allowed) = (Arc::default(), Arc::new(Semaphore::new(0)));
        let listener = Listener { heard: Arc::clone(&heard), allowed: Arc::clone(&allowed) };
        let settings = PoolSettings::of(Language::Native, &cx.config.runtime);
        let watchdog = Watchdog::start().unwrap();
        let (pool, registrations) =
            ScriptPool::start(Arc::new(listener), Arc::clone(&cx), settings, &watchdog)
                .await
                .unwrap();
        let registry = Registry::new(&cx).start();
        let loaded = vec![Loaded { registrations, pool: pool.clone() }];
        registry.send(Register { loaded }).await.unwrap();

        cx.events.send(Point::Event, context(), &event("a"));
        while pool.stats().busy() == 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        // The worker is with the first; two more fit.
        for name in ["b", "c", "d"] {
            cx.events.send(Point::Event, context(), &event(name));
        }
        assert_eq!(cx.metrics.dropped_events.value(), 1);
        allowed.add_permits(6);
        while heard.lock().len() < 6 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        assert_eq!(*heard.lock(), ["a by 1", "a by 2", "b by 1", "b by 2", "c by 1", "c by 2"]);
        io.shutdown_background();
    }
}
