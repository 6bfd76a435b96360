//! The queue of events on their way to the modules' event functions.

use std::sync::{
    Arc, OnceLock,
    atomic::{AtomicU64, Ordering},
};

use guildhall_core::config;
use tokio::{
    runtime::Handle,
    sync::{Mutex, mpsc},
};

use super::call::{Call, Context, Input, Wire};
use crate::{endpoint::Message, registry::Target};

/// Takes events, and drops them while nobody listens. Clones share one queue.
#[derive(Clone, Debug, Default)]
pub struct Events(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    queue: OnceLock<mpsc::Sender<(Context, Wire)>>,
    dropped: AtomicU64,
}

impl Events {
    /// Begins to hand events to the functions that `listeners` names at that moment, by
    /// `runtime.event_queue_workers` tasks on `io`. To be called once.
    pub fn serve(
        &self,
        settings: &config::Runtime,
        io: &Handle,
        listeners: impl Fn() -> Vec<Target> + Send + Sync + 'static,
    ) {
        let (sender, receiver) = mpsc::channel(settings.event_queue_size);
        if self.0.queue.set(sender).is_err() {
            return;
        }
        let receiver = Arc::new(Mutex::new(receiver));
        let listeners = Arc::new(listeners);
        for _ in 0..settings.event_queue_workers {
            let (receiver, listeners) = (Arc::clone(&receiver), Arc::clone(&listeners));
            io.spawn(async move {
                loop {
                    let event = receiver.lock().await.recv().await;
                    let Some((context, event)) = event else { return };
                    for target in listeners() {
                        tell(&target, context.clone(), event.clone()).await;
                    }
                }
            });
        }
    }

    /// Queues an event. While the queue is full the newest are dropped, and counted in the log.
    pub fn send<M: Message>(&self, context: Context, event: &M) {
        let Some(queue) = self.0.queue.get() else { return };
        let Some(descriptor) = M::descriptor() else { return };
        let wire = Wire { descriptor, bytes: event.encode_to_vec() };
        if queue.try_send((context, wire)).is_err() {
            let dropped = self.0.dropped.fetch_add(1, Ordering::Relaxed) + 1;
            // A flood of events is not to become a flood of lines.
            if dropped.is_power_of_two() {
                tracing::warn!(dropped, "event queue full, events dropped");
            }
        }
    }
}

async fn tell(target: &Target, context: Context, event: Wire) {
    let trace_id = context.caller.trace_id;
    let call = Call { function: target.function, context, input: Input::Event { event } };
    if let Err(error) = target.pool.call(call).await {
        tracing::warn!(?target, %trace_id, %error, "event function failed");
    }
}
