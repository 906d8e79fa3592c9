//! Bounds on what decoding may cost, checked before anything is allocated.
//!
//! Every declared count must fit into the bytes that are left (`count * smallest wire size of the element`), as in Kafka
//! itself, and the decoded form of a whole message must stay inside a budget, because tiny elements grow ten- to a
//! hundredfold in memory. The smallest sizes come from the message descriptions ([`message!`](crate::wire::message)), so no
//! table has to be kept beside them. Must not know any particular message.

use crate::wire::error::Fault;

/// Memory one decoded control request may take, bytes; the body of the request itself is not counted.
pub const DECODE_BUDGET: usize = 16 << 20;

/// Tagged fields accepted in one section (KIP-482 sets no limit; Kafka 4.3 defines at most four in one struct).
pub const MAX_TAGS: u32 = 64;

/// What is left of a message's memory.
#[derive(Clone, Copy, Debug)]
pub struct Budget {
    left: usize,
}

impl Budget {
    /// A budget of `bytes`.
    pub const fn new(bytes: usize) -> Self {
        Budget { left: bytes }
    }

    /// Takes `bytes` off.
    ///
    /// # Errors
    /// [`Fault::OverBudget`] when less is left.
    pub fn charge(&mut self, bytes: usize) -> Result<(), Fault> {
        self.left = self.left.checked_sub(bytes).ok_or(Fault::OverBudget)?;
        Ok(())
    }

    /// Checks a declared element count against the bytes left in the input and charges the memory of the elements.
    ///
    /// # Errors
    /// [`Fault::CountTooLarge`] when the elements cannot be in the input, [`Fault::OverBudget`] when their decoded form
    /// would take too much.
    pub fn admit(
        &mut self,
        count: usize,
        wire_size: usize,
        memory_size: usize,
        input_left: usize,
    ) -> Result<(), Fault> {
        let too_large = Fault::CountTooLarge {
            count: count as u64,
            left: input_left,
        };
        match count.checked_mul(wire_size.max(1)) {
            Some(bytes) if bytes <= input_left => self.charge(count.saturating_mul(memory_size)),
            _ => Err(too_large),
        }
    }
}

impl Default for Budget {
    fn default() -> Self {
        Budget::new(DECODE_BUDGET)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_beyond_the_input_are_refused_before_the_budget_is_touched() {
        let mut budget = Budget::new(100);
        assert!(matches!(
            budget.admit(5, 4, 8, 19),
            Err(Fault::CountTooLarge { count: 5, left: 19 })
        ));
        assert!(matches!(
            budget.admit(usize::MAX, 4, 8, 19),
            Err(Fault::CountTooLarge { .. })
        ));
        assert_eq!(budget.admit(5, 4, 8, 20), Ok(()));
        assert_eq!(budget.admit(8, 1, 8, 20), Err(Fault::OverBudget));
    }

    #[test]
    fn an_element_of_no_bytes_still_costs_one() {
        assert!(Budget::default().admit(10, 0, 1, 9).is_err());
    }
}
