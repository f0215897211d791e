//! Recovery: beats, takes over sagas without a driver, and lets go at the end.
//!
//! It runs beside the calls and shares no limit with them, so a flood of calls cannot keep sagas from ending.

use std::sync::Arc;
use std::time::Duration;

use brokerage_types::{Reason, SagaId};
use service_kit::run::Kit;

use super::meters::NO_LABELS;
use super::{Assigned, Drivers, Meters, Origin};
use crate::engine::decide::Status;
use crate::store::{Intent, Leases, Mark, Orphan, Store, TrailItem};
use crate::{participants, sagas};

/// How often drivers are asked again to leave, at the end.
const LEAVING: Duration = Duration::from_millis(50);

/// Runs until the service ends; then leaves every saga to others.
pub async fn recover(kit: Kit, drivers: Arc<Drivers>, store: Store, meters: Meters) {
    let pace = drivers.engine().pace.clone();
    let leases = Leases { lease: pace.lease, parked: pace.parked_retry };
    loop {
        tokio::select! {
            () = kit.shutdown.cancelled() => break,
            () = tokio::time::sleep(pace.until_next_recovery()) => {}
        }
        let oldest = drivers.oldest().as_secs();
        meters.oldest_seconds.with_label_values(NO_LABELS).set(i64::try_from(oldest).unwrap_or(i64::MAX));
        let backlog = store.trail_backlog();
        meters.backlog.with_label_values(NO_LABELS).set(i64::try_from(backlog).unwrap_or(i64::MAX));
        if let Err(fault) = scan(&drivers, &store, &meters, leases).await {
            meters.failed_scans.with_label_values(NO_LABELS).inc();
            tracing::warn!("recovery will scan again: {}", fault.chain());
        }
    }
    leave(&drivers, &store).await;
}

async fn scan(
    drivers: &Arc<Drivers>,
    store: &Store,
    meters: &Meters,
    leases: Leases,
) -> Result<(), service_kit::fault::Fault> {
    store.beat(drivers.me).await?;
    let mut room = drivers.room();
    // A process that died may leave more than one scan takes.
    while room > 0 {
        let orphans = store.adopt(drivers.me, drivers.driven(), (leases, room)).await?;
        room = if orphans.is_empty() { 0 } else { drivers.room() };
        adopted(drivers, store, meters, orphans);
    }
    // A driver whose saga has gone to another process may wait for ever for what that process undid.
    let slow = drivers.driven_for(drivers.engine().pace.recovery);
    for saga_id in store.lost(drivers.me, slow).await? {
        if let Some(running) = drivers.running(saga_id) {
            running.control.stop();
        }
    }
    Ok(())
}

fn adopted(drivers: &Arc<Drivers>, store: &Store, meters: &Meters, orphans: Vec<Orphan>) {
    for orphan in orphans {
        let (saga_id, epoch) = (orphan.saga_id, orphan.epoch);
        meters.adopted.with_label_values(&[kind_label(&orphan.kind)]).inc();
        tracing::info!(%saga_id, epoch, "saga {saga_id} is driven here from now on");
        take_up(drivers, store, orphan);
    }
}

/// Drives a saga that was taken over. One that cannot be read is parked, and never dropped.
pub(crate) fn take_up(drivers: &Arc<Drivers>, store: &Store, orphan: Orphan) -> Option<Arc<super::Running>> {
    let saga_id = orphan.saga_id;
    match sagas::read(&orphan.kind, orphan.version, &orphan.input) {
        Ok(input) => {
            let epoch = u64::try_from(orphan.epoch).unwrap_or(0);
            let giving_up = orphan.abort_asked.then_some(Reason::AbortedByOperator);
            let paused = orphan.paused;
            let origin = Origin::Adopted(orphan.trace);
            let intent = remembered(orphan, &input, drivers.me);
            Some(drivers.start(Assigned {
                saga_id,
                input,
                epoch,
                giving_up,
                paused,
                intent,
                origin,
                seat: None,
            }))
        }
        Err(unreadable) => {
            tracing::error!(%saga_id, "saga {saga_id} cannot be read and is parked: {unreadable}");
            let detail = Some(unreadable.to_string());
            let mark = Mark::Stands { status: Status::Parked, reason: Some(Reason::InternalFault), detail };
            store.jot(note_of(saga_id, orphan.epoch, mark));
            None
        }
    }
}

/// What the participants shall remember of it.
fn remembered(orphan: Orphan, input: &sagas::Input, owner: uuid::Uuid) -> Vec<u8> {
    let Ok(request_hash) = orphan.request_hash.try_into() else { return Vec::new() };
    participants::encode(&Intent {
        saga_id: orphan.saga_id,
        kind: input.kind().as_str(),
        version: orphan.version,
        caller: orphan.caller,
        request_id: orphan.request_id,
        request_hash,
        input: orphan.input.to_string(),
        orders: [None, None],
        conflict_key: None,
        owner,
        trace: orphan.trace,
    })
}

fn note_of(saga_id: SagaId, epoch: i64, mark: Mark) -> TrailItem {
    TrailItem { saga_id, owner: None, epoch, seq: 0, entries: Vec::new(), mark: Some(mark) }
}

/// A stored kind as a label: bounded, whatever the row says.
fn kind_label(kind: &str) -> &'static str {
    sagas::Kind::parse(kind).map_or("unknown", sagas::Kind::as_str)
}

/// Drivers end or leave at their next pause; then the owner row goes, and others may take over at once.
async fn leave(drivers: &Arc<Drivers>, store: &Store) {
    loop {
        drivers.stop_all();
        if drivers.idle(LEAVING).await {
            break;
        }
    }
    if let Err(fault) = store.release(drivers.me).await {
        tracing::warn!("the owner row is left to its lease: {}", fault.chain());
    }
}
