//! The dead man's switch: a wake-up that is always on its way, so that sweeps go on although the timer is dead and nobody
//! calls.

use std::time::Duration;

use super::sweep::is_behind;
use super::{SweepReason, Sweeper};
use crate::domain::Timestamp;
use crate::metrics;
use crate::store::{Etag, Slot, StoreError, WakeUps, Watermark};

impl Sweeper {
    /// How far ahead the switch is while the sweeps keep up.
    const SWITCH: Duration = Duration::from_mins(15);
    /// The same while they do not.
    const SWITCH_SOON: Duration = Duration::from_mins(2);
    /// A switch that comes sooner than this is renewed by a sweep.
    const RENEW: Duration = Duration::from_mins(1);

    /// The switch has come: enqueues its successor, and sweeps.
    ///
    /// # Errors
    /// [`StoreError`] if the successor was not enqueued. The same wake-up has to come again. A failed sweep is no error,
    /// because the successor sweeps again.
    pub async fn switched(&self, slot: Slot) -> Result<(), StoreError> {
        let read = match self.read_watermark().await {
            Ok(read) => read,
            Err(error) => {
                tracing::warn!(%error, "the watermark cannot be read; the dead man's switch comes again");
                // If nobody has told the time yet, the clock may be wrong.
                let now = if self.clock.is_known() { self.clock.now() } else { slot.start() };
                return self.wake_ups.enqueue_switch_after(Slot::of(now + Self::SWITCH_SOON), Self::SWITCH_SOON).await;
            }
        };
        let early = self.clock.now().until(slot.start() - WakeUps::LEAD);
        if early > WakeUps::MAX_AHEAD {
            metrics::record(|metrics| metrics.wake_up_dropped("too_far_ahead"));
            tracing::warn!(%slot, "dropped a dead man's switch that is too far ahead");
            return Ok(());
        }
        if early > WakeUps::HOLD {
            return self.wake_ups.enqueue_switch(slot).await;
        }
        let reason = match &read {
            // A later one is on its way, so this one is a double.
            Some((watermark, _)) if watermark.switch > slot => SweepReason::Look,
            _ => {
                let keeps_up = read.as_ref().is_some_and(|(watermark, _)| !is_behind(watermark, self.clock.now()));
                self.renew(read, if keeps_up { Self::SWITCH } else { Self::SWITCH_SOON }).await?;
                SweepReason::Switch
            }
        };
        if let Err(error) = self.sweep(reason).await {
            tracing::warn!(%error, "the sweep of the dead man's switch failed");
        }
        Ok(())
    }

    async fn read_watermark(&self) -> Result<Option<(Watermark, Etag)>, StoreError> {
        self.store.tell_time(&*self.clock).await?;
        self.store.watermark().await
    }

    /// Sends the switch on its way, if it is not. Returns the watermark as it then is.
    pub(super) async fn renew_switch(
        &self,
        read: Option<(Watermark, Etag)>,
        reason: SweepReason,
    ) -> Option<(Watermark, Etag)> {
        let now = self.clock.now();
        let switch = read.as_ref().map_or(Timestamp::MIN, |(watermark, _)| watermark.switch.start());
        if reason == SweepReason::Switch || switch >= now + Self::RENEW {
            return read;
        }
        let keeps_up = read.as_ref().is_some_and(|(watermark, _)| !is_behind(watermark, now));
        let ahead = if reason == SweepReason::Timer || keeps_up { Self::SWITCH } else { Self::SWITCH_SOON };
        if let Err(error) = self.renew(read.clone(), ahead).await {
            tracing::warn!(%error, "the dead man's switch was not renewed; the next sweep renews it");
            return read;
        }
        self.store.watermark().await.unwrap_or(read)
    }

    /// Enqueues the switch, and records its time in a commit of its own. If the commit fails, the switch has a double.
    async fn renew(&self, read: Option<(Watermark, Etag)>, ahead: Duration) -> Result<(), StoreError> {
        let switch = Slot::of(self.clock.now() + ahead);
        self.wake_ups.enqueue_switch(switch).await?;
        let (watermark, etag) = match read {
            Some((watermark, etag)) => (watermark, Some(etag)),
            None => (Watermark::start(), None),
        };
        if let Err(error) = self.store.write_watermark(etag, &Watermark { switch, ..watermark }).await {
            tracing::debug!(%error, "the time of the dead man's switch was not recorded");
        }
        Ok(())
    }
}
