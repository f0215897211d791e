//! The disk alone: how long a small write takes to be durable while nothing else is going on. Every order waits for
//! several such writes, one after another, so this is what no program can go below.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::sample::{Sample, histogram};

/// What a batch of a few orders writes to the log.
const WRITE_BYTES: usize = 8 << 10;
/// Written over again and again, as the database's log files are.
const FILE_BYTES: usize = 16 << 20;

/// Makes `rate` writes a second durable, one after another, for `time`. Latencies count from when each was due.
///
/// # Errors
/// When the directory for temporary files, in which the databases are too, cannot be written to.
pub async fn measure(rate: f64, time: Duration) -> Result<Sample> {
    tokio::task::spawn_blocking(move || write(rate, time)).await.context("join the writes")?
}

fn write(rate: f64, time: Duration) -> Result<Sample> {
    let path = std::env::temp_dir().join(format!("mesh-bench-disk-{}", std::process::id()));
    let file = File::create(&path).with_context(|| format!("create {}", path.display()))?;
    // It is there as long as it is open: nothing is left behind, however this ends.
    std::fs::remove_file(&path).with_context(|| format!("remove {}", path.display()))?;
    file.write_all_at(&vec![1; FILE_BYTES], 0).context("fill the file")?;
    file.sync_all().context("sync the file")?;
    let (page, mut latencies) = ([2; WRITE_BYTES], histogram()?);
    let begin = Instant::now();
    for offset in (0..FILE_BYTES - WRITE_BYTES).step_by(WRITE_BYTES).cycle() {
        let due = begin + Duration::from_secs_f64(f64::from(u32::try_from(latencies.len())?) / rate);
        if due >= begin + time {
            break;
        }
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        file.write_all_at(&page, u64::try_from(offset)?).context("write")?;
        file.sync_data().context("make a write durable")?;
        latencies.saturating_record(u64::try_from(due.elapsed().as_micros())?.max(1));
    }
    Ok(Sample::of(&latencies, time))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn every_write_that_was_due_is_counted() {
        let sample = measure(200.0, Duration::from_millis(100)).await.unwrap();
        assert!((sample.rate - 200.0).abs() < f64::EPSILON, "{sample}");
        assert!(sample.p50_ms > 0.0, "{sample}");
    }
}
