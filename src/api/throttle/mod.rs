//! Enforces quotas: how long a client that has used too much is not read (KIP-13, KIP-124, KIP-219, KIP-612).
//!
//! Each holder of a quota has a bucket in every shard that serves it. A shard counts what its own connections use at once, and
//! hears at most [`REPORT_NS`] later what those of other shards used, so no lock is taken and no rate is cut in pieces: a client
//! with one connection gets all of its rate, one with many is held to their sum. What may exceed the rate is what all shards
//! together let through between two reports; it is counted, and made up for by the next wait.
//!
//! Must not know sessions: who calls stops reading.

mod bucket;

use crate::base::ids::Now;
use crate::controller::configs::resolve;
use crate::controller::image::Image;
use crate::controller::quotas::{self, Holder, QuotaKey, Quotas};
use crate::metrics::{ShardMetrics, Throttled};
use crate::wire::api::ApiKey;
use bucket::Bucket;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

/// The user of every connection while there is no authentication.
const USER: &str = "ANONYMOUS";
/// Longest time between use and the other shards' knowing of it, nanoseconds.
const REPORT_NS: u64 = 100_000_000;
/// Clients whose quotas are remembered, and holders with a bucket of their own; further ones share one.
const HOLDERS_MAX: usize = 10_000;
/// Quotas that a client can have.
const OF_CLIENTS: [QuotaKey; 4] = [
    QuotaKey::Produce,
    QuotaKey::Fetch,
    QuotaKey::Request,
    QuotaKey::Mutation,
];
/// What an answer costs beside its bytes, when a round's time is divided among its requests.
const WEIGHT_OF_REQUEST: u64 = 8 << 10;

/// Whose bucket.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct BucketId {
    key: QuotaKey,
    holder: Holder,
}

/// What holders used in a shard since its last report.
pub type Usage = Vec<(BucketId, f64)>;

/// A client's quotas, in the order of [`OF_CLIENTS`].
type Shares = [Option<(Arc<BucketId>, f64)>; OF_CLIENTS.len()];

/// See the module.
#[derive(Default)]
pub(crate) struct Throttles {
    quotas: Arc<Quotas>,
    window_s: f64,
    clients: BTreeMap<Box<str>, Shares>,
    buckets: BTreeMap<Arc<BucketId>, Bucket>,
    /// Requests answered in the round under way.
    work: Vec<(Arc<BucketId>, u64)>,
    /// When the last round ended.
    round: Now,
    reported_ns: u64,
    /// When holders that owe nothing were last forgotten for want of room.
    swept_ns: u64,
    has_news: bool,
}

impl Throttles {
    /// Takes over changed quotas. What was used counts on under the new rate.
    fn sync(&mut self, image: &Image) {
        if Arc::ptr_eq(&self.quotas, &image.quotas) {
            return;
        }
        self.quotas = image.quotas.clone();
        self.window_s = resolve::broker_int(image, "quota.window.size.seconds").max(1) as f64;
        self.clients.clear();
        let quotas = self.quotas.clone();
        self.buckets.retain(|id, bucket| match rate_of(&quotas, id) {
            Some(rate) => {
                bucket.rate = rate;
                true
            }
            None => false,
        });
    }

    fn share(&mut self, client_id: &str, key: QuotaKey) -> Option<(Arc<BucketId>, f64)> {
        if self.quotas.is_empty() {
            return None;
        }
        let at = OF_CLIENTS.iter().position(|one| *one == key)?;
        if let Some(shares) = self.clients.get(client_id) {
            return shares.get(at).cloned().flatten();
        }
        if self.clients.len() >= HOLDERS_MAX {
            self.clients.clear();
        }
        let shares = OF_CLIENTS.map(|key| {
            let (holder, rate) = quotas::of_client(&self.quotas, USER, client_id, key)?;
            Some((Arc::new(BucketId { key, holder }), in_units(key, rate)))
        });
        let found = shares.get(at).cloned().flatten();
        self.clients.insert(client_id.into(), shares);
        found
    }

    fn bucket(&mut self, now: Now, (id, rate): (Arc<BucketId>, f64)) -> &mut Bucket {
        let mut id = id;
        if self.buckets.len() >= HOLDERS_MAX && !self.buckets.contains_key(&id) {
            if now.mono_ns >= self.swept_ns + REPORT_NS {
                self.swept_ns = now.mono_ns;
                self.buckets.retain(|_, bucket| !bucket.is_empty(now.mono_ns));
            }
            if self.buckets.len() >= HOLDERS_MAX {
                id = Arc::new(BucketId {
                    key: id.key,
                    holder: Holder {
                        user: None,
                        client: None,
                    },
                });
            }
        }
        self.buckets.entry(id).or_insert_with(|| Bucket::new(rate, now.mono_ns))
    }

    /// A request came. Returns for how long, nanoseconds, its connection is not to be read: 0 almost always.
    pub fn on_request(
        &mut self,
        (now, image): (Now, &Image),
        client_id: &str,
        (api, bytes): (ApiKey, usize),
        metrics: &mut ShardMetrics,
    ) -> u64 {
        self.sync(image);
        // A client that does not know versions yet could not read how long it is to wait.
        if self.quotas.is_empty() || api == ApiKey::ApiVersions {
            return 0;
        }
        let window_s = self.window_s;
        let mut wait_ns = 0;
        if let Some(share) = self.share(client_id, QuotaKey::Request) {
            // Kafka's bound, too: a request is cheap to wait for.
            let longest_ns = (window_s * 1e9) as u64;
            let over_ns = self.bucket(now, share).wait_ns(now.mono_ns, window_s).min(longest_ns);
            metrics.throttled(Throttled::Request, over_ns);
            wait_ns = over_ns;
        }
        if api == ApiKey::Produce
            && let Some(share) = self.share(client_id, QuotaKey::Produce)
        {
            let bucket = self.bucket(now, share);
            bucket.add(now.mono_ns, bytes as f64);
            let over_ns = bucket.wait_ns(now.mono_ns, window_s);
            metrics.throttled(Throttled::Produce, over_ns);
            wait_ns = wait_ns.max(over_ns);
            self.has_news = true;
        }
        wait_ns
    }

    /// A fetch is about to give so many bytes of records. 0: it may, and they are counted; else it has to give none, and its
    /// connection is not to be read for so many nanoseconds.
    pub fn on_fetched(&mut self, now: Now, client_id: &str, bytes: u64, metrics: &mut ShardMetrics) -> u64 {
        let Some(share) = self.share(client_id, QuotaKey::Fetch).filter(|_| bytes > 0) else {
            return 0;
        };
        let window_s = self.window_s;
        let bucket = self.bucket(now, share);
        let over_ns = bucket.wait_before_ns(now.mono_ns, window_s, bytes as f64);
        if over_ns == 0 {
            bucket.add(now.mono_ns, bytes as f64);
            self.has_news = true;
        }
        metrics.throttled(Throttled::Fetch, over_ns);
        over_ns
    }

    /// Most bytes that a fetch should give: what a window allows.
    pub fn fetch_max(&mut self, client_id: &str) -> u32 {
        let share = self.share(client_id, QuotaKey::Fetch);
        // Casts to integers saturate.
        share.map_or(u32::MAX, |(_, rate)| (rate * self.window_s) as u32)
    }

    /// A client connected; as [`on_request`](Self::on_request).
    pub fn on_connection(&mut self, (now, image): (Now, &Image), peer: IpAddr, metrics: &mut ShardMetrics) -> u64 {
        self.sync(image);
        if self.quotas.is_empty() {
            return 0;
        }
        let Some((holder, rate)) = quotas::of_ip(&self.quotas, peer) else {
            return 0;
        };
        let id = Arc::new(BucketId {
            key: QuotaKey::Connection,
            holder,
        });
        let window_s = self.window_s;
        let bucket = self.bucket(now, (id, rate));
        bucket.add(now.mono_ns, 1.0);
        let wait_ns = bucket.wait_ns(now.mono_ns, window_s);
        metrics.throttled(Throttled::Connection, wait_ns);
        self.has_news = true;
        wait_ns
    }

    /// A request for changes of so many partitions (KIP-599). Returns how long its client has to wait, nanoseconds; a strict
    /// request that has to is not counted, since it is refused.
    pub fn on_mutation(
        &mut self,
        now: Now,
        client_id: &str,
        (partitions, strict): (u64, bool),
        metrics: &mut ShardMetrics,
    ) -> u64 {
        let Some(share) = self.share(client_id, QuotaKey::Mutation) else {
            return 0;
        };
        let window_s = self.window_s;
        let bucket = self.bucket(now, share);
        let over_ns = bucket.wait_ns(now.mono_ns, window_s);
        metrics.throttled(Throttled::Request, over_ns);
        if !strict || over_ns == 0 {
            bucket.add(now.mono_ns, partitions as f64);
            self.has_news = true;
        }
        over_ns
    }

    /// A request was answered: it has a part in the time of this round.
    pub fn on_answer(&mut self, client_id: &str, bytes: u64) {
        if let Some((id, _)) = self.share(client_id, QuotaKey::Request) {
            self.work.push((id, WEIGHT_OF_REQUEST + bytes));
        }
    }

    /// A round ends.
    pub fn settle(&mut self, now: Now) {
        self.round = now;
    }

    /// The round that ended took so long: its time is divided among the requests answered in it, by their bytes.
    pub fn worked(&mut self, ns: u64) {
        if self.work.is_empty() {
            return;
        }
        let (now, work) = (self.round, std::mem::take(&mut self.work));
        let total: u64 = work.iter().map(|(_, weight)| weight).sum();
        for (id, weight) in work {
            let Some(rate) = rate_of(&self.quotas, &id) else {
                continue;
            };
            let share_ns = ns as f64 * weight as f64 / total as f64;
            self.bucket(now, (id, rate)).add(now.mono_ns, share_ns);
            self.has_news = true;
        }
    }

    /// What the other shards have to be told now.
    pub fn take_report(&mut self, now: Now) -> Option<Arc<Usage>> {
        if !self.has_news || now.mono_ns < self.reported_ns + REPORT_NS {
            return None;
        }
        self.has_news = false;
        self.reported_ns = now.mono_ns;
        let news = self.buckets.iter_mut().filter_map(|(id, bucket)| {
            let amount = bucket.take_unreported();
            (amount > 0.0).then(|| (BucketId::clone(id), amount))
        });
        Some(Arc::new(news.collect())).filter(|usage: &Arc<Usage>| !usage.is_empty())
    }

    /// Another shard tells what was used there.
    pub fn on_report(&mut self, (now, image): (Now, &Image), usage: &Usage) {
        self.sync(image);
        for (id, amount) in usage {
            if let Some(rate) = rate_of(&self.quotas, id) {
                self.bucket(now, (Arc::new(id.clone()), rate))
                    .add_remote(now.mono_ns, *amount);
            }
        }
    }

    /// When [`take_report`](Self::take_report) has something, monotonic nanoseconds.
    pub fn next_deadline(&self) -> Option<u64> {
        self.has_news.then_some(self.reported_ns + REPORT_NS)
    }
}

/// A quota in a bucket's units a second: bytes, partitions, connections, and nanoseconds of a shard's time for percent of it.
fn in_units(key: QuotaKey, quota: f64) -> f64 {
    match key {
        QuotaKey::Request => quota / 100.0 * 1e9,
        _ => quota,
    }
}

/// The rate of a bucket, in its units a second; `None` when its holder has no such quota any more.
fn rate_of(quotas: &Quotas, id: &BucketId) -> Option<f64> {
    let Holder { user, client } = &id.holder;
    if id.key == QuotaKey::Connection {
        let address = client.as_ref()?.parse().ok()?;
        return quotas::of_ip(quotas, address).map(|(_, rate)| rate);
    }
    let user = user.as_deref().unwrap_or(USER);
    let client = client.as_deref().unwrap_or_default();
    let (holder, rate) = quotas::of_client(quotas, user, client, id.key)?;
    (holder == id.holder).then_some(in_units(id.key, rate))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::controller::quotas::{Part, QuotaEntity};

    #[test]
    fn clients_without_end_share_what_is_left() {
        let entity = QuotaEntity {
            client_id: Part::Default,
            ..QuotaEntity::default()
        };
        let quotas = Quotas::from([(entity, BTreeMap::from([(QuotaKey::Produce, 10.0)]))]);
        let image = Image {
            quotas: Arc::new(quotas),
            ..Image::default()
        };
        let mut throttles = Throttles::default();
        let mut metrics = ShardMetrics::default();
        let mut produce = |throttles: &mut Throttles, mono_ns, client: &str, bytes| {
            let now = Now { mono_ns, wall_ms: 0 };
            throttles.on_request((now, &image), client, (ApiKey::Produce, bytes), &mut metrics)
        };
        for client in 0..HOLDERS_MAX {
            assert!(produce(&mut throttles, 0, &client.to_string(), 100) > 0);
        }
        assert_eq!(produce(&mut throttles, 1, "one more", 8), 0);
        assert!(
            produce(&mut throttles, 1, "and another", 8) > 0,
            "its bucket is the same"
        );
        assert!(throttles.buckets.len() <= HOLDERS_MAX + 1 && throttles.clients.len() <= HOLDERS_MAX);
        let later_ns = 3_600_000_000_000;
        assert_eq!(produce(&mut throttles, later_ns, "late", 8), 0);
        // What was not reported yet is kept.
        throttles.take_report(Now {
            mono_ns: later_ns,
            wall_ms: 0,
        });
        assert_eq!(produce(&mut throttles, later_ns + REPORT_NS, "later", 8), 0);
        assert!(throttles.buckets.len() <= 3, "nobody owes anything any more");
    }
}
