//! A bounded queue from one thread to one other, without locks.
//!
//! Why it is right: `tail` counts what was ever pushed and is stored only by the producer; `head` counts what was ever popped
//! and is stored only by the consumer; both only grow (64 bits never wrap). Slot `n % capacity` belongs to the consumer while
//! `head <= n < tail`, else to the producer. The producer writes a slot and then stores `tail` with Release; the consumer
//! loads `tail` with Acquire before it reads the slot, so the write happens before the read. The other way round, the consumer
//! moves the value out and then stores `head` with Release, and the producer loads `head` with Acquire before it writes the slot
//! again. Each side keeps the last value of the other's counter it saw, which can only be too careful, never too bold. Neither
//! handle can be cloned, and push and pop take `&mut self`, so that "one thread" is checked by the compiler.

use std::cell::UnsafeCell;
use std::mem::MaybeUninit;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Keeps the two counters on cache lines of their own (two lines, since processors prefetch in pairs).
#[repr(align(128))]
struct Apart<T>(T);

struct Shared<T> {
    slots: Box<[UnsafeCell<MaybeUninit<T>>]>,
    head: Apart<AtomicU64>,
    tail: Apart<AtomicU64>,
}

// SAFETY: values move between threads (hence T: Send), and each slot has one owner at a time, as argued above.
unsafe impl<T: Send> Sync for Shared<T> {}
// SAFETY: as above.
unsafe impl<T: Send> Send for Shared<T> {}

impl<T> Shared<T> {
    fn slot(&self, n: u64) -> *mut MaybeUninit<T> {
        self.slots[(n % self.slots.len() as u64) as usize].get()
    }
}

impl<T> Drop for Shared<T> {
    fn drop(&mut self) {
        let (head, tail) = (*self.head.0.get_mut(), *self.tail.0.get_mut());
        for n in head..tail {
            // SAFETY: pushed and never popped, and both handles are gone.
            unsafe { (*self.slot(n)).assume_init_drop() };
        }
    }
}

/// The end that pushes.
pub struct Producer<T> {
    shared: Arc<Shared<T>>,
    tail: u64,
    seen_head: u64,
}

/// The end that pops.
pub struct Consumer<T> {
    shared: Arc<Shared<T>>,
    head: u64,
    seen_tail: u64,
}

/// A queue of at most `capacity` values.
pub fn queue<T>(capacity: usize) -> (Producer<T>, Consumer<T>) {
    assert!(capacity > 0, "a queue without slots");
    let shared = Arc::new(Shared {
        slots: (0..capacity).map(|_| UnsafeCell::new(MaybeUninit::uninit())).collect(),
        head: Apart(AtomicU64::new(0)),
        tail: Apart(AtomicU64::new(0)),
    });
    let producer = Producer {
        shared: shared.clone(),
        tail: 0,
        seen_head: 0,
    };
    let consumer = Consumer {
        shared,
        head: 0,
        seen_tail: 0,
    };
    (producer, consumer)
}

impl<T> Producer<T> {
    /// Appends a value, or gives it back when the queue is full.
    pub fn push(&mut self, value: T) -> Result<(), T> {
        let capacity = self.shared.slots.len() as u64;
        if self.tail - self.seen_head == capacity {
            self.seen_head = self.shared.head.0.load(Ordering::Acquire);
            if self.tail - self.seen_head == capacity {
                return Err(value);
            }
        }
        // SAFETY: the consumer's head was seen past this slot's last use, so it is ours.
        unsafe { (*self.shared.slot(self.tail)).write(value) };
        self.tail += 1;
        self.shared.tail.0.store(self.tail, Ordering::Release);
        Ok(())
    }
}

impl<T> Consumer<T> {
    /// Takes the oldest value.
    pub fn pop(&mut self) -> Option<T> {
        if self.is_empty() {
            return None;
        }
        // SAFETY: the producer's tail was seen past this slot, so it holds a value and is ours.
        let value = unsafe { (*self.shared.slot(self.head)).assume_init_read() };
        self.head += 1;
        self.shared.head.0.store(self.head, Ordering::Release);
        Some(value)
    }

    /// True when there is nothing to take right now.
    pub fn is_empty(&mut self) -> bool {
        if self.head == self.seen_tail {
            self.seen_tail = self.shared.tail.0.load(Ordering::Acquire);
        }
        self.head == self.seen_tail
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_arrive_in_order_across_threads_and_a_full_queue_refuses() {
        let (mut producer, mut consumer) = queue::<Box<u64>>(8);
        let sender = std::thread::spawn(move || {
            let mut refused = 0u64;
            for n in 0..200_000u64 {
                let mut value = Box::new(n);
                while let Err(back) = producer.push(value) {
                    refused += 1;
                    value = back;
                    std::thread::yield_now();
                }
            }
            refused
        });
        let mut next = 0;
        while next < 200_000 {
            match consumer.pop() {
                Some(value) => {
                    assert_eq!(*value, next);
                    next += 1;
                }
                None => std::thread::yield_now(),
            }
        }
        assert!(sender.join().expect("sender") > 0, "eight slots were full at times");
        assert!(consumer.is_empty());
    }

    #[test]
    fn what_was_never_taken_is_dropped_with_the_queue() {
        let token = Arc::new(());
        let (mut producer, mut consumer) = queue(4);
        for _ in 0..4 {
            assert!(producer.push(token.clone()).is_ok());
        }
        assert!(producer.push(token.clone()).is_err());
        assert!(consumer.pop().is_some());
        assert!(producer.push(token.clone()).is_ok(), "wraps around");
        drop((producer, consumer));
        assert_eq!(Arc::strong_count(&token), 1);
    }
}
