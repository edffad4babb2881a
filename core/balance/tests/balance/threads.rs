use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use switchboard_balance::{Balancer, Ledger, Moment, Outcome, Policy, Request};

use crate::algorithms::ALL;
use crate::support::endpoints;

/// go-kit's random balancer shared an unlocked generator between goroutines; pickers and updates at once.
#[test]
fn k16_every_policy_is_picked_from_by_many_threads_while_the_set_changes() {
    for algorithm in ALL {
        let balancer = Arc::new(
            Balancer::new(Policy { algorithm, ..Policy::default() }, Arc::new(Ledger::new())).unwrap(),
        );
        balancer.update(endpoints("a b c d"), Moment::START);
        let stop = AtomicBool::new(false);
        std::thread::scope(|scope| {
            for thread in 0..4 {
                let (balancer, stop) = (balancer.clone(), &stop);
                scope.spawn(move || {
                    let mut random = fastrand::Rng::with_seed(thread);
                    let mut now = Moment::START;
                    while !stop.load(Ordering::Relaxed) {
                        now = now + Duration::from_millis(1);
                        let hash = Some(random.u64(..));
                        let pick = balancer
                            .pick(&Request { hash, tried: &[] }, now, &mut || random.u64(..))
                            .unwrap();
                        match random.u8(..8) {
                            0 => drop(pick),
                            1 => pick.finish(Outcome::FAILURE, now),
                            _ => pick.finish(Outcome::Success, now),
                        }
                    }
                });
            }
            for round in 0..300 {
                let set = if round % 2 == 0 { "a b c d e" } else { "b c*3 f" };
                balancer.update(endpoints(set), Moment::after_start(Duration::from_millis(round)));
                std::thread::yield_now();
            }
            stop.store(true, Ordering::Relaxed);
        });
        assert_eq!(balancer.in_flight(), 0, "{algorithm:?}");
        assert!(balancer.report(Moment::START).iter().all(|it| it.in_flight == 0), "{algorithm:?}");
    }
}
