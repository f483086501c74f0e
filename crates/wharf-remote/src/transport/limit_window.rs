//! Adapts the number of concurrent requests of one kind: additive increase, multiplicative
//! decrease.
//!
//! Pure: a function of requests and answers. The size is never below one request nor above its
//! ceiling, and one burst of refusals halves it once.

/// The upper bound of a ceiling; more connections do not help.
const HIGHEST: usize = 4096;

/// The state for one kind of request.
#[derive(Clone, Debug)]
pub(super) struct LimitWindow {
    ceiling: usize,
    size: usize,
    in_flight: usize,
    /// Good answers since the size last changed.
    welcomed: usize,
    /// How often the size was halved.
    generation: u64,
}

/// The state of the window when a request started.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ticket {
    generation: u64,
    /// Requests under way, this one included.
    in_flight: usize,
}

impl LimitWindow {
    /// A window that starts at `ceiling`, from 1 to 4096, so that registries without limits get
    /// full speed at once.
    pub(super) fn new(ceiling: usize) -> Self {
        let ceiling = ceiling.clamp(1, HIGHEST);
        LimitWindow {
            ceiling,
            size: ceiling,
            in_flight: 0,
            welcomed: 0,
            generation: 0,
        }
    }

    /// How many requests may be under way.
    pub(super) fn size(&self) -> usize {
        self.size
    }

    /// A request starts.
    pub(super) fn start(&mut self) -> Ticket {
        self.in_flight += 1;
        Ticket {
            generation: self.generation,
            in_flight: self.in_flight,
        }
    }

    /// A request has ended.
    pub(super) fn end(&mut self) {
        self.in_flight = self.in_flight.saturating_sub(1);
    }

    /// A request got a good answer; a full window of good answers adds one place. Ignores requests
    /// that started before the last decrease, or in a mostly empty window.
    pub(super) fn welcomed(&mut self, ticket: Ticket) {
        if ticket.generation != self.generation || self.used(ticket) * 2 < self.size {
            return;
        }
        self.welcomed += 1;
        if self.welcomed >= self.size && self.size < self.ceiling {
            self.size += 1;
            self.welcomed = 0;
        }
    }

    /// A request was refused because there are too many: halves the number that was under way.
    /// Ignores requests that started before the last decrease, which belong to the same burst.
    pub(super) fn refused(&mut self, ticket: Ticket) {
        if ticket.generation != self.generation {
            return;
        }
        self.size = (self.size.min(self.used(ticket)) / 2).max(1);
        self.welcomed = 0;
        self.generation += 1;
    }

    /// How many requests are known to have been under way together with one.
    fn used(&self, ticket: Ticket) -> usize {
        ticket.in_flight.max(self.in_flight)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn full(ceiling: usize) -> (LimitWindow, Vec<Ticket>) {
        let mut window = LimitWindow::new(ceiling);
        let tickets = (0..window.size()).map(|_| window.start()).collect();
        (window, tickets)
    }

    #[test]
    fn r7_a_burst_of_refusals_halves_once() {
        for (ceiling, after) in [(1, 1), (2, 1), (3, 1), (16, 8), (64, 32)] {
            let (mut window, tickets) = full(ceiling);
            for ticket in tickets {
                window.refused(ticket);
                window.end();
            }
            assert_eq!(window.size(), after, "from {ceiling}");
        }
    }

    #[test]
    fn r7_half_of_what_was_under_way_is_kept_and_not_half_of_what_was_allowed() {
        let mut window = LimitWindow::new(64);
        let tickets: Vec<_> = (0..8).map(|_| window.start()).collect();
        window.refused(tickets[7]);
        assert_eq!(window.size(), 4);
    }

    #[test]
    fn r7_a_full_window_of_answers_makes_room_for_one_more() {
        let (mut window, tickets) = full(8);
        window.refused(tickets[0]);
        tickets.iter().for_each(|_| window.end());
        tickets.iter().for_each(|ticket| window.welcomed(*ticket));
        assert_eq!(window.size(), 4, "late answers of before do not count");
        for size in [4, 5, 6, 7, 8, 8] {
            assert_eq!(window.size(), size);
            let tickets: Vec<_> = (0..size).map(|_| window.start()).collect();
            for ticket in tickets {
                window.welcomed(ticket);
                window.end();
            }
        }
    }

    #[test]
    fn r7_a_window_that_is_hardly_used_does_not_grow() {
        let (mut window, tickets) = full(16);
        window.refused(tickets[0]);
        tickets.iter().for_each(|_| window.end());
        for _ in 0..1000 {
            let ticket = window.start();
            window.welcomed(ticket);
            window.end();
        }
        assert_eq!(window.size(), 8);
    }

    proptest! {
        #[test]
        fn r7_stays_between_one_and_its_ceiling_and_changes_in_known_steps(
            ceiling in 0usize..5000,
            events in proptest::collection::vec((0u8..3, any::<proptest::sample::Index>()), 0..400),
        ) {
            let mut window = LimitWindow::new(ceiling);
            let mut open = Vec::new();
            for (event, index) in events {
                let (before, generation) = (window.size(), window.generation);
                match event {
                    0 => open.push(window.start()),
                    _ if open.is_empty() => continue,
                    which => {
                        let ticket = open.swap_remove(index.index(open.len()));
                        if which == 1 { window.welcomed(ticket) } else { window.refused(ticket) }
                        window.end();
                        if window.size() < before {
                            prop_assert_eq!((which, ticket.generation), (2, generation));
                        } else {
                            prop_assert!(window.size() <= before + 1);
                        }
                    }
                }
                prop_assert!((1..=ceiling.clamp(1, HIGHEST)).contains(&window.size()));
                prop_assert_eq!(window.in_flight, open.len());
            }
        }
    }
}
